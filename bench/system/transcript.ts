/**
 * What a process printed by two streams, as one text in which each line is one stream's: what comes by the other while a line is not
 * finished stands behind that line. A prompt that is printed in two pieces, an error's line between them, reads as a prompt.
 */
import type { Readable } from 'node:stream';

export class Transcript {
  #text = '';
  /** Where each stream's last line can go on, in places of the text; streams whose last line is finished have none. */
  readonly #open = new Map<Readable, number>();

  /** Takes what comes by `stream` from now on; `heard` is called after each piece. */
  follow(stream: Readable, heard: () => void): void {
    stream.setEncoding('utf8');
    stream.on('data', (piece: string) => {
      this.#add(stream, piece);
      heard();
    });
  }

  /** Adds a text of nobody's at its end. */
  note(text: string): void {
    this.#text += text;
  }

  get text(): string {
    return this.#text;
  }

  #add(stream: Readable, piece: string): void {
    const at = this.#open.get(stream) ?? this.#text.length;
    const lineEnd = at === this.#text.length ? piece.length : piece.indexOf('\n') + 1 || piece.length;
    const [line, rest] = [piece.slice(0, lineEnd), piece.slice(lineEnd)];
    this.#text = this.#text.slice(0, at) + line + this.#text.slice(at) + rest;
    for (const [other, place] of this.#open)
      if (other !== stream && place > at) this.#open.set(other, place + line.length);
    if (piece.endsWith('\n')) this.#open.delete(stream);
    else if (piece !== '') this.#open.set(stream, rest === '' ? at + line.length : this.#text.length);
  }
}

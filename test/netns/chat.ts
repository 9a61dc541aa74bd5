/** Connections that last while the network below them changes: chat.py in a namespace. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('chat.py', import.meta.url));

export interface Talk {
  readonly answers: number;
  readonly silence_ms: number;
  readonly error: string | null;
}

export interface Talking {
  /** How many answers have come. */
  answers(): Promise<number>;
  /** Ends it and tells how it was. */
  end(): Promise<Talk>;
}

class Chat {
  readonly process: ChildProcess;
  readonly lines: AsyncIterableIterator<string>;
  readonly #reader: Interface;

  constructor(netns: string, args: readonly string[]) {
    this.process = spawn('ip', ['netns', 'exec', netns, 'python3', SCRIPT, ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.process.stdin!.on('error', () => undefined);
    this.#reader = createInterface({ input: this.process.stdout! });
    this.lines = this.#reader[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    const { value, done } = await this.lines.next();
    if (done === true) throw new Error('a chat ended before it said anything');
    return value;
  }
}

/** All chats of a test; `close` ends them. */
export class Chats {
  readonly #chats: Chat[] = [];

  async serve(netns: string, address: string, port: number): Promise<void> {
    await this.#start(netns, 'serve', address, port);
  }

  /** Talks from now on. */
  async talk(netns: string, address: string, port: number): Promise<Talking> {
    const chat = await this.#start(netns, 'talk', address, port);
    return {
      answers: async () => {
        chat.process.stdin!.write('\n');
        const line = await chat.line();
        if (!/^\d+$/.test(line)) throw new Error(`a chat has ended: ${line}`);
        return Number(line);
      },
      end: async () => {
        chat.process.stdin!.end();
        return JSON.parse(await chat.line()) as Talk;
      },
    };
  }

  async #start(netns: string, what: string, address: string, port: number): Promise<Chat> {
    const chat = new Chat(netns, [what, address, String(port)]);
    this.#chats.push(chat);
    await chat.line();
    return chat;
  }

  async close(): Promise<void> {
    await Promise.all(
      this.#chats.map(async ({ process }) => {
        if (process.exitCode !== null || process.signalCode !== null) return;
        const ended = once(process, 'exit');
        process.kill('SIGKILL');
        await ended;
      }),
    );
  }
}

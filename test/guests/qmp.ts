/** QEMU's own monitor, by QMP over a unix socket: `-qmp unix:PATH,server=on,wait=off`. Speaks to one QEMU; main thread of a test. */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { until } from '../netns/lab.ts';

const START_MS = 20_000;

interface Answer {
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
}

export class Qmp {
  readonly #socket: Socket;
  readonly #waiting: ((answer: Answer) => void)[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    createInterface({ input: socket }).on('line', (line) => {
      const answer = JSON.parse(line) as Answer;
      // The rest is greetings and events.
      if ('return' in answer || 'error' in answer) this.#waiting.shift()?.(answer);
    });
    socket.on('error', () => undefined);
  }

  /** Waits until QEMU listens. */
  static async connect(path: string): Promise<Qmp> {
    await until(
      async () => existsSync(path),
      (there) => there,
      START_MS,
    );
    const socket = createConnection(path);
    await once(socket, 'connect');
    const qmp = new Qmp(socket);
    await qmp.execute('qmp_capabilities');
    return qmp;
  }

  /** What QEMU answers; rejects with its words when it refuses. */
  execute<T = unknown>(command: string, args: object = {}): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(({ return: answer, error }) => {
        if (error === undefined) resolve(answer as T);
        else reject(new Error(`${command}: ${error.desc}`));
      });
      this.#socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

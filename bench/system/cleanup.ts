// Undo steps, run newest first: what a bench makes is registered here the moment it exists and goes away on success, failure and Ctrl-C.
// One stack per site; all open stacks are known, so that a signal empties them too. Main thread only.

export interface Undo {
  readonly what: string;
  readonly run: () => Promise<unknown> | unknown;
}

const open = new Set<Cleanup>();
let stopping = false;

/** A stack of undo steps. `run` never throws: it returns what failed, and calling it twice is harmless. */
export class Cleanup {
  readonly #steps: Undo[] = [];

  /** Throws while a signal is being answered: what is made now would not be removed any more. */
  constructor() {
    if (stopping) throw new Error('this bench is being stopped');
    open.add(this);
  }

  /** Registers a step; steps run in reverse order. */
  defer(what: string, run: Undo['run']): void {
    this.#steps.push({ what, run });
  }

  /** Runs and forgets every step. Returns one line for each that failed. */
  async run(): Promise<string[]> {
    const problems: string[] = [];
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step.run();
      } catch (error) {
        problems.push(`${step.what}: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`);
      }
    }
    open.delete(this);
    return problems;
  }
}

/** Empties every stack that is still open, the newest first. */
export async function cleanUpAll(): Promise<string[]> {
  const problems: string[] = [];
  for (const cleanup of [...open].reverse()) problems.push(...(await cleanup.run()));
  return problems;
}

/** On SIGINT or SIGTERM: cleans up, then exits with 128 + the signal's number. A second signal exits at once. */
export function cleanUpOnSignals(print: (text: string) => void): void {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.on(signal, () => {
      if (stopping) process.exit(code);
      stopping = true;
      print(`${signal}: removing what this bench made`);
      void cleanUpAll().then((problems) => {
        for (const problem of problems) print(`left behind: ${problem}`);
        process.exit(code);
      });
    });
  }
}

// Undo steps, run newest first: what a bench makes is registered here the moment it exists and goes away on success, failure and Ctrl-C.
// One stack per site; all open stacks are known, so that a signal empties them too. Main thread only.

export interface Undo {
  readonly what: string;
  readonly run: () => Promise<unknown> | unknown;
}

const open = new Set<Cleanup>();
const STOPPED = 'this bench was stopped';
/** How long a measurement that hears of no end (it sleeps) is waited for. */
const STOP_MS_MAX = 5000;
let stopping = false;

/** Whether a signal came: what runs fails for want of what was removed, and nothing new begins. */
export function isStopping(): boolean {
  return stopping;
}

/** Why something was not measured: that the bench was stopped, whatever then failed first. */
export function reasonOf(error: unknown): string {
  return stopping ? STOPPED : error instanceof Error ? error.message : String(error);
}

/** A stack of undo steps. `run` never throws: it returns what failed, and calling it twice is harmless. */
export class Cleanup {
  readonly #steps: Undo[] = [];
  #running: Promise<string[]> | null = null;

  /** Throws while a signal is being answered: nothing new begins. */
  constructor() {
    if (stopping) throw new Error(STOPPED);
    open.add(this);
  }

  /** Registers a step; steps run in reverse order. Throws once a signal is being answered: whoever made the thing then runs its steps. */
  defer(what: string, run: Undo['run']): void {
    this.#steps.push({ what, run });
    open.add(this);
    if (stopping) throw new Error(STOPPED);
  }

  /** Runs and forgets every step, one after the other also for a second caller. Returns one line for each that failed. */
  run(): Promise<string[]> {
    this.#running ??= this.#undo().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #undo(): Promise<string[]> {
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

/**
 * On SIGINT or SIGTERM: removes what was made. The bench then ends by itself, with what it has measured and 128 + the signal's number, or is
 * ended when it takes too long. A second signal ends it at once.
 */
export function cleanUpOnSignals(print: (text: string) => void): void {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.on(signal, () => {
      if (stopping) process.exit(code);
      stopping = true;
      process.exitCode = code;
      print(`${signal}: removing what this bench made`);
      void tellLeft(print)
        .then(() => new Promise((resolve) => setTimeout(resolve, STOP_MS_MAX)))
        .then(() => tellLeft(print))
        .then(() => process.exit(code));
    });
  }
}

async function tellLeft(print: (text: string) => void): Promise<void> {
  for (const problem of await cleanUpAll()) print(`left behind: ${problem}`);
}

/**
 * Set-up of the project `unit` (vitest.config.ts), for every file. Files of a worker share modules and globals, so a timer that outlives
 * its test acts in another file's: a bond goes on asking through a spy that counts who asks. A file that leaves one of the
 * global `setTimeout` or `setInterval` running fails for it.
 */
import { afterAll } from 'vitest';

interface Timer {
  /** Of Node's timers, undocumented: fired or cleared. */
  readonly _destroyed: boolean;
}

/** This file runs for each test file, in one and the same global scope. */
const worker = globalThis as { startedTimers?: Map<Timer, string> };
worker.startedTimers ??= watch();
/** Real timers that somebody started, with where. */
const started = worker.startedTimers;

function watch(): Map<Timer, string> {
  const timers = new Map<Timer, string>();
  const noting = <T extends (...args: never[]) => unknown>(start: T): T =>
    new Proxy(start, {
      apply(target, self, args) {
        const timer = Reflect.apply(target, self, args) as Timer;
        timers.set(timer, new Error('started').stack ?? '');
        return timer;
      },
    });
  globalThis.setTimeout = noting(globalThis.setTimeout);
  globalThis.setInterval = noting(globalThis.setInterval);
  return timers;
}

/** Where timers were started that still run, but for those that libraries started of themselves. Forgets them all. */
export function runningTimers(): string[] {
  const left = [...started].flatMap(([timer, stack]) => (timer._destroyed ? [] : ownFrames(stack)));
  started.clear();
  return left;
}

/** Of a stack the part in files of ours; empty where they didn't start it themselves. */
function ownFrames(stack: string): string[] {
  const frames = stack.split('\n').filter((line) => /^ *at /.test(line) && !/unit.timers\.ts/.test(line));
  const isOwn = (line = '') => /\.ts:\d/.test(line) && !/node_modules/.test(line);
  return isOwn(frames[0]) ? [frames.filter(isOwn).join('\n')] : [];
}

afterAll(() => {
  const left = runningTimers();
  if (left.length > 0) throw new Error(`${left.length} timers outlive their tests, started at\n${left.join('\n\n')}`);
});

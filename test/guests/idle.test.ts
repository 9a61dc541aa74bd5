/** What sixteen guests that do nothing cost, and how soon the switch is awake when one of them speaks. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeNeeds } from '../needs.ts';
import type { Daemon } from '../netns/daemon.ts';
import { bridge, Lab, REAL, until } from '../netns/lab.ts';

const GUESTS_COUNT = 16;
const WATCH_SECONDS = 9;
/** Share of a core, all threads of the daemon together. */
const CPU_MAX = 0.01;
const WAKE_MS_MAX = 5;

describeNeeds(REAL, 'sixteen idle guests', () => {
  const lab = new Lab();
  let daemon: Daemon;
  let guests: ChildProcess | undefined;
  let lines: AsyncIterator<string>;

  beforeAll(async () => {
    const names = Array.from({ length: GUESTS_COUNT }, (_, index) => `vm${index}`);
    const path = (name: string) => join(lab.folder, `${name}.sock`);
    daemon = await lab.daemon(bridge(names.map((name) => ({ name, kind: 'vhost-user', socket: path(name) }))));
    const script = fileURLToPath(new URL('idle.py', import.meta.url));
    guests = spawn('python3', [script, ...names.map(path)], { stdio: ['pipe', 'pipe', 'inherit'] });
    lines = createInterface({ input: guests.stdout! })[Symbol.asyncIterator]();
    expect((await lines.next()).value).toBe('ready');
    const ports = await until(
      () => daemon.ports(),
      (all) => all.every(({ up }) => up),
    );
    expect(ports.filter(({ up }) => !up)).toEqual([]);
  }, 60_000);
  afterAll(async () => {
    guests?.kill('SIGKILL');
    await lab.close();
  });

  /** Seconds of CPU of all threads, to the nanosecond. */
  function cpuSeconds(): number {
    const tasks = `/proc/${daemon.pid}/task`;
    const ns = readdirSync(tasks).map((task) =>
      Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]),
    );
    return ns.reduce((sum, one) => sum + one, 0) / 1e9;
  }

  it(`cost at most ${CPU_MAX * 100} % of a core`, { timeout: 60_000 }, async () => {
    await sleep(2000);
    const before = cpuSeconds();
    await sleep(WATCH_SECONDS * 1000);
    const share = (cpuSeconds() - before) / WATCH_SECONDS;
    if (process.env.WEFT_TEST_VERBOSE !== undefined) console.log({ share });
    expect(share).toBeLessThan(CPU_MAX);
  });

  it(`wake the switch with their first kick, within ${WAKE_MS_MAX} ms`, { timeout: 60_000 }, async () => {
    const received = () =>
      Promise.all(['vm0', 'vm7', 'vm15'].map(async (name) => (await daemon.port(name)).receive.frames));
    const before = await received();
    const waits: number[] = [];
    for (const number of [0, 7, 15, 7]) {
      await sleep(1000);
      guests!.stdin!.write(`${number}\n`);
      const said = (await lines.next()).value as string;
      // Later than it has patience for.
      const wait = said === 'never' ? Number.POSITIVE_INFINITY : Number(said);
      expect(wait, said).not.toBeNaN();
      waits.push(wait);
    }
    if (process.env.WEFT_TEST_VERBOSE !== undefined) console.log({ waits });
    // They may have waited for a core of this machine, but so long hardly twice.
    expect(waits.filter((wait) => !Number.isFinite(wait)).length, waits.join(', ')).toBeLessThanOrEqual(1);
    expect(Math.min(...waits), waits.join(', ')).toBeLessThan(WAKE_MS_MAX);
    const wanted = [1, 2, 1];
    const grown = async () => (await received()).map((count, index) => count - before[index]!);
    expect(await until(grown, (now) => now.join() === wanted.join())).toEqual(wanted);
  });
});

/**
 * The addon built with AddressSanitizer and UndefinedBehaviorSanitizer, in the stories of its life and lists and below a running daemon with
 * real devices, which are taken away under it. Nothing may be reported. Leaks are not looked for: Node itself keeps what it had at its end.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { describeNeeds } from '../needs.ts';
import type { Daemon } from '../netns/daemon.ts';
import { frame, mac } from '../netns/frames.ts';
import type { Host } from '../netns/host.ts';
import { bridge, Lab, TOOLS, tap, until } from '../netns/lab.ts';
import { seedFor } from '../seed.ts';
import { ARRIVALS, checkArrivals } from './arrival-stories.ts';
import { checkEchoes, ECHOES } from './echo-stories.ts';
import { checkLinks, LINKS } from './link-stories.ts';
import { checkNetdev, NETDEV } from './netdev-stories.ts';
import { checkSockets, checkStreams, SOCKETS, STREAMS } from './socket-stories.ts';
import { checkLists, LISTS, RINGS, ringReason, tell, wanted } from './stories.ts';
import { checkTunnels, TUNNELS } from './tunnel-stories.ts';

const READY = fileURLToPath(new URL('../../native/ready.mjs', import.meta.url));
const ADDON = fileURLToPath(new URL('../../build/sanitize/build/Release', import.meta.url));
const BUILD_MS = 480_000;
const MEGABYTE = 1 << 20;
const EXIT_CODE = 7;

/** g++ answers with the bare name when it has no such file. */
const runtime = spawnSync('g++', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).stdout?.trim() ?? '';
const compiler = runtime === '' ? 'needs g++: apt-get install g++' : null;
const library = compiler ?? (isAbsolute(runtime) ? null : 'needs libasan: apt-get install libgcc-12-dev');
const because = wanted.because ?? library;

describeNeeds({ ...wanted, tools: [...wanted.tools, ...TOOLS], because }, 'the addon under sanitizers', () => {
  let reports = '';
  let env: Record<string, string> = {};

  beforeAll(() => {
    const built = spawnSync(process.execPath, [READY, '--quiet', '--sanitize=address,undefined'], { encoding: 'utf8' });
    expect(built.status, built.stderr).toBe(0);
    reports = mkdtempSync(join(tmpdir(), 'weft-sanitized-'));
    const where = `log_path=${join(reports, 'report')}:halt_on_error=1:print_stacktrace=1`;
    env = {
      WEFT_ADDON: ADDON,
      LD_PRELOAD: runtime,
      ASAN_OPTIONS: `detect_leaks=0:${where}`,
      UBSAN_OPTIONS: where,
    };
  }, BUILD_MS);
  afterEach(() => {
    const found = readdirSync(reports).map((name) => readFileSync(join(reports, name), 'utf8'));
    for (const name of readdirSync(reports)) rmSync(join(reports, name));
    expect(found).toEqual([]);
  });
  afterAll(() => {
    if (existsSync(reports) && dirname(reports) === tmpdir()) rmSync(reports, { recursive: true });
  });

  it('is what the stories load: without the runtime before it, it doesn’t', () => {
    const { stderr, end } = tell('child', ['handles'], { WEFT_ADDON: ADDON });
    expect(end).not.toBe(0);
    expect(stderr).toContain('ASan runtime does not come first');
  });

  it.each(['descriptors', 'terminations', 'handles', 'oddities'])('reports nothing in the story of %s', (story) => {
    const { end, stderr } = tell('child', [story, String(seedFor(story))], env);
    expect(stderr).toBe('');
    expect(end).toBe(0);
  });

  it.each(['loaded', 'mapped', 'attached', 'turned', 'workers'])('reports nothing at an exit when %s', (step) => {
    const { end, stderr } = tell('child', ['exits', step], env);
    expect(stderr).toBe('');
    expect(end).toBe(EXIT_CODE);
  });

  it.each(Object.keys(SOCKETS))('reports nothing in the sockets’ story of %s', (story) => checkSockets(story, env));

  it.each(Object.keys(NETDEV))('reports nothing in the netdevs’ story of %s', (story) =>
    checkNetdev(story, 'auto', env),
  );
  it.each(Object.keys(LINKS))('reports nothing in the links’ story of %s', (story) => checkLinks(story, env));
  it.each(Object.keys(ECHOES))('reports nothing in the echoes’ story of %s', (story) => checkEchoes(story, env));
  it.each(Object.keys(ARRIVALS))('reports nothing in the story of tunnels’ %s', (story) => checkArrivals(story, env));
  it.each(Object.keys(TUNNELS))('reports nothing in the tunnels’ story of %s', (story) => checkTunnels(story, env));
  it.each(Object.keys(STREAMS))('reports nothing in the socket ports’ story of %s', (story) =>
    checkStreams(story, seedFor(story), env),
  );

  for (const io of RINGS) {
    it.each(Object.keys(LISTS))(`reports nothing in the lists’ story of %s, with ${io}`, (story) => {
      if (ringReason(io) === null) checkLists(story, io, env);
    });

    describeNeeds({ because: because ?? ringReason(io) }, `below a daemon, with ${io}`, () => {
      let lab: Lab;
      let daemon: Daemon;
      let a: Host;
      let b: Host;
      const port = (name: string, n: number) => tap(lab, name, { address: [`10.9.7.${n}/24`, `fd00:97::${n}/64`] });

      beforeAll(async () => {
        lab = new Lab();
        ({ a, b } = await lab.hosts(['a', 'b', 'c']));
        const ports = [port('a', 1), port('b', 2), port('c', 3)];
        daemon = await lab.daemon(bridge(ports, {}, { workers: { count: 2, io } }), { env });
      });
      afterAll(() => lab.close());

      it('carries pings, frames of every size and super-frames', async () => {
        for (const size of [0, 56, 1472, 3000, 60_000])
          expect(await a.ping('10.9.7.2', { size, interval: 0.01 })).toBe(3);
        for (let bytes = 14; bytes < 1500; bytes += 97) {
          const filler = 'x'.repeat(bytes);
          await a.send('eth0', [frame(mac(2), mac(1), [], filler)], { times: 3 });
        }
        for (const [address, number] of [['10.9.7.2', 8014] as const, ['fd00:97::2', 8016] as const]) {
          await b.serve(address, number);
          const { sent, received } = await a.transfer(address, number, 8 * MEGABYTE);
          expect(received).toBe(sent);
        }
        expect(readFileSync(`/proc/${daemon.pid}/maps`, 'utf8')).toContain('/build/sanitize/');
        expect((await daemon.workers()).map((worker) => worker.io.replace('/', '-'))).toEqual([io, io]);
      });

      it('outlives devices that go down, vanish and come back, ports that come and go and workers that die, under traffic', async () => {
        await b.serve('10.9.7.2', 8020);
        const moving = a.transfer('10.9.7.2', 8020, 16 * MEGABYTE);
        await b.run('ip', 'link', 'set', 'eth0', 'down');
        await b.run('ip', 'link', 'set', 'eth0', 'up');
        for (let round = 0; round < 3; round++) {
          await daemon.addPort('br0', { name: 'v', kind: 'tap', device: 'v0', netns: lab.name('c') });
          await daemon.restartWorker(round % 2);
          await daemon.deletePort('br0', 'v');
        }
        const { sent, received } = await moving;
        expect(received).toBe(sent);
        await lab.deleteNetns('c');
        await b.run('ip', 'link', 'del', 'eth0');
        await until(
          () => daemon.port('b'),
          ({ up }) => !up,
        );
        await a.ping('10.9.7.2', { count: 5, interval: 0.01, wait: 0 });
        expect(daemon.running).toBe(true);
      });

      it('ends without a word of the sanitizers', async () => {
        const { code, stderr } = await daemon.stop();
        expect(code, stderr).toBe(0);
        expect(stderr).not.toMatch(/runtime error|Sanitizer/);
      });
    });
  }
});

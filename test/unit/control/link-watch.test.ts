/** What becomes of notices of links and namespaces: events, in spite of losses, looks that take long and what can't be started. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { IpResult, RunIp } from '../../../control/devices/ip.ts';
import type { Notice } from '../../../control/devices/link-monitor.ts';
import { type LinkEvent, LinkState } from '../../../control/devices/link-state.ts';
import { LinkWatch, type WatchClock } from '../../../control/devices/link-watch.ts';
import { DeviceError } from '../../../control/errors.ts';
import type { LinkNotice } from '../../../native/binding.ts';

const ok = (stdout = ''): IpResult => ({ exitCode: 0, stdout, stderr: '' });

const sight = { index: 5, name: 'a', adminUp: true, carrier: true, mtu: 1500 };

describe('LinkState', () => {
  it('tells what changed', () => {
    const state = new LinkState();
    const types = (events: readonly LinkEvent[]) => events.map(({ type }) => type);
    expect(types(state.see(1, null, sight))).toEqual(['device-appeared']);
    expect(types(state.see(1, null, sight))).toEqual([]);
    expect(state.see(2, null, { ...sight, name: 'b', carrier: false, adminUp: false, mtu: 9000 })).toEqual([
      { type: 'device-renamed', time: 2, netns: null, device: 'a', to: 'b', index: 5 },
      { type: 'admin-down', time: 2, netns: null, device: 'b', index: 5 },
      { type: 'carrier-down', time: 2, netns: null, device: 'b', index: 5 },
      { type: 'mtu-changed', time: 2, netns: null, device: 'b', index: 5, mtu: 9000 },
    ]);
    const other = [{ ...sight, index: 6 }];
    expect(types(state.replace(3, null, other, new Set([5, 6])))).toEqual([]);
    expect(types(state.replace(3, null, other, new Set()))).toEqual(['device-vanished', 'device-appeared']);
    expect(types(state.vanish(4, null, 99))).toEqual([]);
    expect(state.forget('never seen')).toBe(false);
  });
});

/** What the kernel tells of link 5; `nsid` null: here. */
const told = (changes: Partial<LinkNotice> = {}): LinkNotice => ({
  type: 'link',
  nsid: null,
  gone: false,
  ...sight,
  ...changes,
});

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

/** What /run/netns is to a host with these namespaces. */
function folderOf(namespaces: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'weft-netns-'));
  folders.push(folder);
  for (const name of namespaces) writeFileSync(join(folder, name), '');
  return folder;
}

describe('LinkWatch', () => {
  /** A watch over a scripted monitor, a scripted `ip` and a clock that stands until it is told. */
  function scripted(namespaces: string[] = []) {
    const events: LinkEvent[] = [];
    const timers: { at: number; run: () => void }[] = [];
    const monitors: { onNotice: (notice: Notice) => void; onEnd: (reason: string) => void; stopped: boolean }[] = [];
    const world = {
      links: [{ ifindex: 5, ifname: 'a', flags: ['UP', 'LOWER_UP'], mtu: 1500 }] as object[],
      now: 0,
      starts: true,
      looks: 0,
      /** Called while `ip` looks: what is answered is what was there before. */
      meanwhile: () => {},
    };
    const clock: WatchClock = {
      now: () => world.now,
      after(milliseconds, run) {
        const timer = { at: world.now + milliseconds, run };
        timers.push(timer);
        return () => timers.includes(timer) && timers.splice(timers.indexOf(timer), 1);
      },
    };
    const run: RunIp = async (args) => {
      if (args.includes('netns')) return ok(JSON.stringify(namespaces.map((name, id) => ({ name, id }))));
      world.looks++;
      const seen = JSON.stringify(world.links);
      await Promise.resolve();
      world.meanwhile();
      return ok(seen);
    };
    const link = new LinkWatch({
      onEvent: (event) => events.push(event),
      run,
      clock,
      netnsFolder: folderOf(namespaces),
      startMonitor(onNotice, onEnd) {
        if (!world.starts) throw new Error('out of descriptors');
        const monitor = { onNotice, onEnd, stopped: false };
        monitors.push(monitor);
        return { stop: () => Object.assign(monitor, { stopped: true }) };
      },
    });
    const advance = async (milliseconds: number) => {
      world.now += milliseconds;
      for (const timer of timers.filter(({ at }) => at <= world.now)) {
        timers.splice(timers.indexOf(timer), 1);
        timer.run();
      }
      for (let k = 0; k < 4; k++) await new Promise((resolve) => setImmediate(resolve));
    };
    const types = () => events.splice(0).map(({ type }) => type);
    return { events, monitors, world, link, advance, timers, types };
  }

  it('reports changes, not what was there', async () => {
    const { events, monitors, link, world } = scripted();
    await link.start();
    expect(events).toEqual([]);
    world.now = 77;
    monitors[0]!.onNotice(told({ carrier: false }));
    monitors[0]!.onNotice(told({ nsid: 9, adminUp: false }));
    expect(events).toEqual([{ type: 'carrier-down', time: 77, netns: null, device: 'a', index: 5 }]);
    await link.close();
    expect(monitors[0]!.stopped).toBe(true);
  });

  it('tells at once what it hears during a look, and lets nothing older undo it', async () => {
    const { monitors, link, world, types } = scripted(['there']);
    await link.start(['there']);
    const [monitor] = monitors;
    const during: unknown[] = [];
    world.meanwhile = () => {
      monitor!.onNotice(told({ carrier: false }));
      monitor!.onNotice(told({ nsid: 0, index: 7, name: 'b' }));
      monitor!.onNotice(told({ nsid: 0, gone: true }));
      during.push(types());
    };
    monitor!.onEnd('overrun');
    for (let k = 0; k < 4; k++) await new Promise((resolve) => setImmediate(resolve));
    expect(during[0]).toEqual(['monitor-restarted', 'carrier-down', 'device-appeared', 'device-vanished']);
    expect(types()).toEqual([]);
    await link.close();
  });

  it('keeps what it hears of a namespace that it hasn’t seen yet until it has', async () => {
    const { monitors, link, world, events } = scripted(['there']);
    await link.start();
    world.meanwhile = () => monitors[0]!.onNotice(told({ nsid: 0, carrier: false }));
    await link.setNamespaces(['there']);
    expect(events).toMatchObject([{ type: 'carrier-down', netns: 'there' }]);
    monitors[0]!.onNotice({ type: 'netns', nsid: 0, gone: true });
    monitors[0]!.onNotice(told({ nsid: 0 }));
    expect(events.slice(1)).toMatchObject([{ type: 'netns-deleted', netns: 'there' }]);
    await link.close();
  });

  it('starts a monitor that lost something again at once, and finds what it missed', async () => {
    const { events, monitors, link, world, advance, timers } = scripted();
    await link.start();
    world.links = [];
    monitors[0]!.onEnd('overrun');
    expect(monitors).toHaveLength(2);
    await advance(0);
    expect(events).toMatchObject([
      { type: 'monitor-restarted', reason: 'overrun' },
      { type: 'device-vanished', device: 'a' },
    ]);
    await link.close();
    monitors[1]!.onEnd('overrun');
    expect(timers).toEqual([]);
    expect(events).toHaveLength(2);
  });

  it('tries again where it can’t start', async () => {
    const { events, monitors, link, world, advance } = scripted();
    await link.start();
    world.starts = false;
    monitors[0]!.onEnd('overrun');
    await advance(499);
    world.starts = true;
    expect(events).toEqual([]);
    await advance(1);
    expect(events).toMatchObject([{ type: 'monitor-restarted', reason: 'overrun' }]);
    await link.close();
  });

  it('rests between looks, however often something is lost', async () => {
    const { monitors, link, world, advance } = scripted();
    await link.start();
    for (let k = 0; k < 20; k++) {
      monitors.at(-1)!.onEnd('overrun');
      await advance(20);
    }
    expect(world.looks).toBe(2);
    await advance(500);
    expect(world.looks).toBe(3);
    await advance(5000);
    expect(world.looks).toBe(3);
    await link.close();
  });

  it('looks again where a look failed', async () => {
    const { monitors, link, world, advance, types } = scripted();
    await link.start();
    world.links = [];
    world.meanwhile = () => {
      world.meanwhile = () => {};
      throw new DeviceError('ip-failed', 'out of processes');
    };
    monitors[0]!.onEnd('overrun');
    await advance(0);
    expect(types()).toEqual(['monitor-restarted']);
    await advance(500);
    expect(types()).toEqual(['device-vanished']);
    await link.close();
  });

  it('throws where there is no ip at all', async () => {
    const without = new LinkWatch({
      onEvent: () => undefined,
      run: () => Promise.reject(new DeviceError('no-ip', 'the command ip was not found')),
      startMonitor: () => ({ stop: () => undefined }),
    });
    await expect(without.start()).rejects.toMatchObject({ code: 'no-ip' });
    await without.close();
  });
});

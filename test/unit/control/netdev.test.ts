/** One netdev port's interface over a machine that is told what happens: looks that come late, interfaces that come and go and are refused. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { LinkEvents } from '../../../control/devices/link-events.ts';
import type { LinkEvent } from '../../../control/devices/link-state.ts';
import type { Interface, Interfaces } from '../../../control/devices/netdev/interfaces.ts';
import { NetdevDevice } from '../../../control/devices/netdev/netdev-device.ts';
import type { TakeOver } from '../../../control/devices/netdev/take-over.ts';
import type { PortHost } from '../../../control/devices/port-device.ts';
import type { Log } from '../../../control/log.ts';
import type { NetdevModel } from '../../../control/model/model.ts';

const NIC: Interface = {
  index: 7,
  name: 'nic',
  adminUp: true,
  carrier: true,
  mtu: 1500,
  mac: '02:00:00:00:00:07',
  master: null,
  mark: null,
  addresses: [],
  hasDefaultRoute: false,
};
type OfLink = Extract<LinkEvent, { readonly index: number }>['type'];

/** A port over `there`, what the machine has. */
function rig(there: Interface[], options: { takeOver?: string; open?: number } = {}) {
  const links = new LinkEvents();
  const said: string[] = [];
  const note = (_: object, message: string): void => {
    said.push(message);
  };
  const log: Log = { debug: note, info: note, warn: note, error: note };
  const native = {
    openNetdev: vi.fn((name: string) => {
      const found = there.find((item) => item.name === name);
      if (found === undefined) throw Object.assign(new Error(`SIOCGIFINDEX ${name}`), { code: 'ENODEV' });
      return { handle: found.index * 10, ifindex: found.index, mtu: 1500, takes: 15, shieldError: 0 };
    }),
    netdevStatistics: () => ({ missed: 3 }),
    closeDevice: vi.fn(),
  };
  let look = async (): Promise<Interface[]> => [...there];
  const interfaces = {
    see: () => look(),
    byName: async (name: string) => (await look()).find((item) => item.name === name) ?? null,
  } as unknown as Interfaces;
  const takeOver = { take: vi.fn(async () => {}), giveBack: vi.fn(async () => {}) };
  const host: PortHost = { bridge: 'br0', port: 'p', workers: 1, changed: vi.fn(), aside: async (change) => change() };
  const model = { device: 'nic', mtu: 1500, takeOver: options.takeOver ?? null } as NetdevModel;
  const open = new Set<object>(Array.from({ length: options.open ?? 0 }, () => ({})));
  const parts = { native, links, interfaces, takeOver: takeOver as unknown as TakeOver, log, open };
  const device = new NetdevDevice(parts, model, host);
  const tell = (type: OfLink, more: object = {}): void =>
    links.tell({ type, time: 0, netns: null, device: 'nic', index: 7, ...more } as LinkEvent);
  const slowly = (hold: Promise<void>): void => {
    look = async () => {
      const seen = [...there];
      await hold;
      return seen;
    };
  };
  return { device, native, host, said, tell, slowly, takeOver, links, open };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

afterEach(() => void vi.useRealTimers());

describe('an interface', () => {
  it('that is there is opened, and is as its link is', async () => {
    const { device, tell, host, native } = rig([NIC]);
    await device.open();
    expect([device.handle, device.takes, device.up, device.reason]).toEqual([70, 15, true, null]);
    expect(native.openNetdev).toHaveBeenCalledWith('nic', 1, 1024, null);
    tell('carrier-down');
    expect(device.reason).toBe('nic has no carrier');
    tell('admin-down');
    expect(device.reason).toBe('the link of nic was set down');
    tell('admin-up');
    tell('carrier-up');
    expect([device.up, device.reason]).toEqual([true, null]);
    expect(host.changed).toHaveBeenCalledTimes(4);
    expect(device.missed()).toEqual({ 'ring-full': 3 });
    await device.close();
    expect(native.closeDevice).toHaveBeenCalledWith(70);
  });

  it('is as it was heard of last, though a look from before comes later', async () => {
    const there = [{ ...NIC, carrier: false }];
    const { device, tell, links, slowly } = rig(there);
    await device.open();
    let release = () => {};
    slowly(new Promise((resolve) => (release = resolve)));
    links.tell({ type: 'monitor-restarted', time: 0, reason: 'a test' });
    await settled();
    there[0] = NIC;
    tell('carrier-up');
    release();
    await settled();
    await settled();
    expect(device.up).toBe(true);
    await device.close();
  });

  it('that is not there is waited for; one that vanishes is, too, whatever its next number', async () => {
    const there: Interface[] = [];
    const { device, tell, native } = rig(there);
    await device.open();
    expect([device.handle, device.reason]).toEqual([null, 'there is no interface nic']);
    there.push(NIC);
    tell('device-appeared');
    await settled();
    expect([device.handle, device.up]).toEqual([70, true]);
    there.pop();
    tell('device-vanished');
    await settled();
    expect([device.handle, device.reason]).toEqual([null, 'interface nic is gone']);
    expect(native.closeDevice).toHaveBeenCalledWith(70);
    there.push({ ...NIC, index: 9 });
    tell('device-renamed', { index: 9, device: 'was', to: 'nic' });
    await settled();
    expect([device.handle, device.up]).toEqual([90, true]);
    expect(device.missed()).toEqual({ 'ring-full': 6 });
    await device.close();
  });

  it('is followed by its number through every name, and another one of its name is not it', async () => {
    const { device, tell, said } = rig([NIC]);
    await device.open();
    tell('device-renamed', { to: 'other' });
    tell('carrier-down', { index: 8 });
    tell('carrier-down', { netns: 'elsewhere' });
    expect(device.up).toBe(true);
    expect(said).toEqual(['an interface was renamed; its port goes on']);
    tell('carrier-down', { device: 'other' });
    expect(device.reason).toBe('other has no carrier');
    await device.close();
  });

  it('that may not be had is refused at once, and tried again when it came back so', async () => {
    const there = [{ ...NIC, addresses: ['192.0.2.1/24'] }];
    const first = rig(there);
    await expect(first.device.open()).rejects.toMatchObject({ code: 'device-in-use' });
    expect(first.native.openNetdev).not.toHaveBeenCalled();
    const later = rig([]);
    await later.device.open();
    await later.device.close();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const there2: Interface[] = [];
    const { device, tell } = rig(there2);
    await device.open();
    there2.push(there[0]!);
    tell('device-appeared');
    await settled();
    expect(device.reason).toContain('nic has 192.0.2.1/24');
    there2[0] = NIC;
    vi.advanceTimersByTime(1000);
    await settled();
    expect(device.up).toBe(true);
    await device.close();
  });

  it('gets a smaller ring where there are hundreds', async () => {
    for (const [open, slots] of [
      [63, 1024],
      [64, 512],
      [256, 256],
    ] as const) {
      const { device, native, open: all } = rig([NIC], { open });
      await device.open();
      expect(native.openNetdev).toHaveBeenCalledWith('nic', 1, slots, null);
      await device.close();
      expect(all.size).toBe(open);
    }
  });

  it('that is taken over gives and gets, and again when the TAP was made anew', async () => {
    const { device, takeOver, tell } = rig([{ ...NIC, addresses: ['192.0.2.1/24'] }], { takeOver: 'host' });
    await device.open();
    expect(takeOver.take).toHaveBeenCalledTimes(1);
    tell('device-appeared', { device: 'host', index: 30 });
    await settled();
    expect(takeOver.take).toHaveBeenCalledTimes(2);
    await device.close();
    expect(takeOver.giveBack).toHaveBeenCalledWith('host');
  });

  it('whose addresses can’t be moved is its host’s again, and is tried again', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const there: Interface[] = [];
    const { device, takeOver, native, tell } = rig(there, { takeOver: 'host' });
    await device.open();
    there.push({ ...NIC, addresses: ['192.0.2.1/24'] });
    takeOver.take.mockRejectedValueOnce(new Error('host does not take an address of nic'));
    tell('device-appeared');
    await settled();
    expect([device.handle, device.up, device.reason]).toEqual([null, false, 'host does not take an address of nic']);
    expect(native.closeDevice).toHaveBeenCalledWith(70);
    vi.advanceTimersByTime(1000);
    await settled();
    expect([device.handle, device.up]).toEqual([70, true]);
    await device.close();
  });
});

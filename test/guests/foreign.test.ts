/**
 * vhost-user with a front end that isn't QEMU: DPDK's virtio-user, which takes other features (in order, no merged buffers, vectors) and has
 * a server's side of its own. It answers ARP and pings; a host behind a TAP asks.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { describeNeeds } from '../needs.ts';
import type { Daemon } from '../netns/daemon.ts';
import type { Host } from '../netns/host.ts';
import { bridge, Lab, REAL, tap, until } from '../netns/lab.ts';
import { Testpmd, type VirtioUser } from './testpmd.ts';

const TARGET = '10.79.0.99';
const MAC = '02:77:65:00:01:01';
const PINGS = 20;
const BACK_MS = 20_000;
/** Each VLAN has a front end and a host of its own: testpmd answers for every address. */
const VLAN = { server: 10, client: 20 } as const;
type Mode = keyof typeof VLAN;
const MODES = Object.keys(VLAN) as Mode[];

describeNeeds({ ...REAL, tools: [...REAL.tools, 'dpdk-testpmd', 'setpriv', 'stdbuf'] }, 'DPDK’s virtio-user', () => {
  let lab: Lab;
  let daemon: Daemon;
  let hosts: Record<Mode, Host>;
  let testpmd: Testpmd | undefined;
  const path = (mode: Mode) => join(lab.folder, mode);
  const document = () =>
    bridge(
      MODES.flatMap((mode) => {
        const vlan = { mode: 'access', tag: VLAN[mode] };
        return [
          tap(lab, mode, { address: '10.79.0.1/24', vlan }),
          { name: `vhost-${mode}`, kind: 'vhost-user', mode, socket: path(mode), queues: 2, vlan },
        ];
      }),
    );

  beforeAll(async () => {
    lab = new Lab();
    hosts = await lab.hosts(MODES, { ipv6: false });
    daemon = await lab.daemon(document());
  });
  afterEach(() => testpmd?.close());
  afterAll(() => lab.close());

  /** Where weft is the server it connects, and the other way round. */
  const start = async (mode: Mode, more: Partial<VirtioUser> = {}) => {
    const listen = mode === 'client';
    // One that was killed leaves its socket behind, and DPDK takes no path that is there.
    if (listen) rmSync(path(mode), { force: true });
    const port = { path: path(mode), listen, mac: MAC, ...more };
    testpmd = await Testpmd.start(lab.name('hub'), lab.folder, [port]);
  };

  const answers = async (mode: Mode, size: number) => {
    const back = await until(
      () => hosts[mode].ping(TARGET, { count: 1, wait: 1 }),
      (count) => count === 1,
      BACK_MS,
    );
    expect(back).toBe(1);
    expect(await hosts[mode].ping(TARGET, { count: PINGS, interval: 0.02, size })).toBe(PINGS);
  };

  it.each(MODES)('weft as %s: every ping is answered', { timeout: 90_000 }, async (mode) => {
    await start(mode);
    await answers(mode, 56);
    await answers(mode, 1400);
    expect(await daemon.port(`vhost-${mode}`)).toMatchObject({ up: true, dropped: {} });
  });

  it.each([
    ['without merged buffers', { settings: ['mrg_rxbuf=0'] }],
    ['out of order', { settings: ['in_order=0'] }],
    ['in order, without merged buffers, by vectors', { settings: ['in_order=1', 'mrg_rxbuf=0', 'vectorized=1'] }],
    ['with two queue pairs', { queues: 2 }],
  ])('%s, too', { timeout: 90_000 }, async (_, more: Partial<VirtioUser>) => {
    await start('server', more);
    await answers('server', 1400);
  });

  it.each(MODES)('weft as %s: one that is killed and started again goes on', { timeout: 90_000 }, async (mode) => {
    await start(mode);
    await answers(mode, 56);
    await testpmd!.close();
    const port = await until(
      () => daemon.port(`vhost-${mode}`),
      ({ up }) => !up,
    );
    expect(port.up).toBe(false);
    await start(mode, { settings: ['mrg_rxbuf=0'] });
    await answers(mode, 56);
  });

  it('one that listens outlives weft', { timeout: 90_000 }, async () => {
    await start('client');
    await answers('client', 56);
    await daemon.kill();
    daemon = await lab.daemon(document());
    await answers('client', 56);
  });
});

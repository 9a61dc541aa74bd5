/** A machine that is reached by an interface which becomes a bond's member: its addresses move to a TAP, stay through a failover, and go back. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeNeeds } from '../needs.ts';
import { bondRow, cables, kernelBridge } from './bond-rig.ts';
import type { Daemon } from './daemon.ts';
import type { Host } from './host.ts';
import { beforeRetry, bridge, Lab, REAL, until } from './lab.ts';

const ROUTER = '10.43.0.1';
const MACHINE = '10.43.0.2';

describeNeeds(REAL, 'a member that is taken over', () => {
  let lab: Lab;
  let machine: Host;
  let router: Host;
  let daemon: Daemon;
  const carried = async () => (await bondRow(daemon)).active;

  beforeAll(async () => {
    lab = new Lab();
    ({ hub: machine, router } = await lab.hosts(['hub', 'router'], { ipv6: false }));
    await cables(lab, 2, 'router');
    await kernelBridge(lab, 'router', 'sw0', ['f0', 'f1']);
    await router.run('ip', 'addr', 'add', `${ROUTER}/24`, 'dev', 'sw0');
    await machine.run('ip', 'addr', 'add', `${MACHINE}/24`, 'dev', 'm0');
    await machine.run('ip', 'route', 'add', 'default', 'via', ROUTER);
    const members = [
      { kind: 'netdev', device: 'm0', 'take-over': true },
      { kind: 'netdev', device: 'm1' },
    ];
    const up = { name: 'up', kind: 'bond', primary: 'm0', members };
    daemon = await lab.daemon(bridge([{ name: 'host', kind: 'tap', device: `${lab.prefix}h` }, up]));
    await until(carried, (active) => active === 'm0');
  });
  afterAll(() => lab.close());
  beforeRetry(() => router.run('ip', 'link', 'set', 'f0', 'up'));

  it('leaves the machine reachable, by either member', async () => {
    expect(await machine.run('ip', '-br', 'addr', 'show', 'dev', 'm0')).not.toContain(MACHINE);
    expect(await machine.ping(ROUTER)).toBe(3);
    await router.run('ip', 'link', 'set', 'f0', 'down');
    expect(await until(carried, (active) => active === 'm1')).toBe('m1');
    expect(await machine.ping(ROUTER)).toBe(3);
    expect(await router.ping(MACHINE)).toBe(3);
    await router.run('ip', 'link', 'set', 'f0', 'up');
    expect(await until(carried, (active) => active === 'm0')).toBe('m0');
    expect(await router.ping(MACHINE)).toBe(3);
  });

  it('gives the interface its addresses back', async () => {
    expect((await daemon.stop()).code).toBe(0);
    expect(await machine.run('ip', '-br', 'addr', 'show', 'dev', 'm0')).toContain(`${MACHINE}/24`);
    expect(await machine.run('ip', 'route', 'show', 'default')).toMatch(/^default via 10\.43\.0\.1 dev m0/);
    expect(await machine.ping(ROUTER)).toBe(3);
  });
});

/** What the running switch does with its ports when something fails or a link changes, over a pool and devices that only remember. */
import { describe, expect, it } from 'vitest';
import { type Action, plan } from '../../../control/plan/plan.ts';
import { Executor } from '../../../control/running/executor.ts';
import { vlanRows } from '../../../control/running/show.ts';
import { MAC, modelOf, rig, tap } from './running-rig.ts';

const link = (type: 'admin-down' | 'admin-up' | 'device-vanished', device: string) =>
  ({ type, time: 0, netns: null, device, index: 1 }) as const;

describe('links', () => {
  it('that go down together cost one publication and one look', async () => {
    const { base, keeper, kernel, processes, events, settle, start, count } = rig();
    const names = Array.from({ length: 1000 }, (_, k) => `p${k}`);
    await start(names.map((name) => tap(name)));
    kernel.down = new Set(names);
    for (const name of names) keeper.hear(link('admin-down', name));
    await settle();
    expect(base.book.ports().every(({ up, reason }) => !up && reason === 'its link was set down')).toBe(true);
    expect(events.filter(({ type }) => type === 'port-down')).toHaveLength(1000);
    expect(count('sync')).toBe(1);
    expect(processes).toHaveLength(1);
  });

  it('an old device that ends does not take the port down that has a new one of its name', async () => {
    const { base, keeper, closed, events, settle, start } = rig();
    await start([tap('p')]);
    keeper.hear(link('admin-down', 'p'));
    keeper.hear(link('device-vanished', 'p'));
    await settle();
    expect(base.book.port('br0', 'p')).toMatchObject({ up: true, device: { handle: 1 } });
    expect([closed, events]).toEqual([[], []]);
  });

  it('a device that is gone: detached, closed, and told', async () => {
    const { base, keeper, kernel, closed, events, settle, start, count } = rig();
    await start([tap('p')]);
    kernel.gone.add('p');
    keeper.hear(link('device-vanished', 'p'));
    await settle();
    expect(base.book.port('br0', 'p')).toMatchObject({ up: false, device: null, reason: 'device p is gone' });
    expect(closed).toEqual([1]);
    expect(count('detach')).toBe(1);
    expect(events).toMatchObject([{ type: 'port-down', port: 'p', reason: 'device p is gone' }]);
    keeper.close();
  });

  it('static addresses are put back when a port’s others are flushed', async () => {
    const { keeper, kernel, settle, start, count } = rig();
    await start([tap('p', { fdb: [{ mac: MAC }] })]);
    kernel.down.add('p');
    keeper.hear(link('admin-down', 'p'));
    await settle();
    expect(count('fdb-add')).toBe(1);
  });

  it('ports of a namespace that is back get their devices in one go', async () => {
    const { base, keeper, kernel, processes, events, settle, start, count } = rig();
    const names = ['p', 'q', 'r'];
    await start(names.map((name) => tap(name, { netns: 'ns' })));
    kernel.gone = new Set(names);
    keeper.hear({ type: 'netns-deleted', time: 0, netns: 'ns' });
    await settle();
    expect(base.book.ports().map(({ reason }) => reason)).toEqual(names.map(() => 'namespace ns is gone'));
    processes.length = 0;
    events.length = 0;
    const before = count('sync');
    keeper.hear({ type: 'netns-appeared', time: 0, netns: 'ns' });
    await settle();
    await settle();
    expect(base.book.ports().every(({ up, device }) => up && device !== null)).toBe(true);
    expect(events.map(({ type }) => type)).toEqual(['port-up', 'port-up', 'port-up']);
    expect(count('sync') - before).toBe(1);
    expect(processes.filter((line) => line.includes('addr show'))).toHaveLength(1);
  });
});

describe('a TAP that somebody renamed', () => {
  it('is the one whose address is changed and whose losses are counted', async () => {
    const { base, keeper, kernel, processes, settle, start, apply } = rig();
    const table = (drops: Record<string, number>) =>
      Object.entries(drops)
        .map(([name, drop]) => `${name}: 0 0 0 0 0 0 0 0 0 0 0 ${drop} 0 0 0 0`)
        .join('\n');
    base.native.deviceCounters = () => table({ p: 5 });
    await start([tap('p')]);
    base.native.deviceCounters = () => table({ p: 1000, q: 8 });
    keeper.hear({ type: 'device-renamed', time: 0, netns: null, device: 'p', index: 1, to: 'q' });
    await settle();
    kernel.names = ['q'];
    base.kernel.forget();
    expect(base.kernel.of(base.book.port('br0', 'p'))).toEqual({ 'queue-full': 3 });
    processes.length = 0;
    await apply([tap('p')], [tap('p', { address: '10.0.0.1/24' })]);
    expect(processes.join('\n')).toMatch(/addr \S+ 10\.0\.0\.1\/24 .*dev q/);
    expect(processes.join('\n')).not.toMatch(/dev p/);
  });
});

describe('VLANs', () => {
  it('with equal members are one row', async () => {
    const { base, start } = rig();
    const trunks = Array.from({ length: 1000 }, (_, k) => tap(`t${k}`));
    await start([tap('a', { vlan: { tag: 10 } }), tap('n', { vlan: { mode: 'native-untagged', tag: 10 } }), ...trunks]);
    const rows = vlanRows(base);
    expect(rows.map(({ vlans }) => vlans)).toEqual(['0', '1-9,11-4094', '10']);
    expect(rows[2]).toMatchObject({ bridge: 'br0', untagged: ['a', 'n'], tagged: { length: 1000 } });
    expect(rows[1]!.tagged[0]).toBe('n');
    expect(rows[0]!.untagged).not.toContain('a');
  });
});

describe('an addition that fails', () => {
  it('leaves no port and no device behind', async () => {
    const { base, answers, closed, start } = rig();
    await start([tap('p')]);
    answers.order = (order) => (order.type === 'attach' ? -2 : 0);
    const done: Action[] = [];
    const { actions } = plan(modelOf([tap('p')]), modelOf([tap('p'), tap('q'), tap('r')]));
    await expect(new Executor(base).run(actions, done)).rejects.toMatchObject({
      code: 'attach-failed',
      message: expect.stringMatching(/^port br0\/q can't be served: ENOENT/),
    });
    expect(base.book.ports().map(({ model }) => model.name)).toEqual(['p']);
    expect(closed).toEqual([2, 3]);
  });

  it('an address is put on its port although worker 0 is just being replaced', async () => {
    const { base, answers, start } = rig();
    let died = 30;
    await start([]);
    answers.order = (order) => (order.type === 'fdb-add' && died-- > 0 ? -11 : 0);
    await new Executor(base).run(plan(modelOf([]), modelOf([tap('p', { fdb: [{ mac: MAC }] })])).actions, []);
    expect(base.book.port('br0', 'p').up).toBe(true);
  });
});

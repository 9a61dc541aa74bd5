/** Ports whose device an opener makes: in which order devices, workers and tables are told, whatever happens to either of them. */
import { describe, expect, it } from 'vitest';
import { Captures } from '../../../control/running/captures.ts';
import { attachmentOf } from '../../../control/running/executor.ts';
import { RunningSwitch } from '../../../control/running/running-switch.ts';
import { portRows } from '../../../control/running/show.ts';
import { Takes } from '../../../dataplane/tables/port-layout.ts';
import { FakeOpener } from './fake-opener.ts';
import { MAC, modelOf, rig, tap } from './running-rig.ts';

const vm = (name: string, more: object = {}) => ({ name, kind: 'vhost-user', socket: `/run/${name}.sock`, ...more });

/** A rig whose diary holds openings, closings and what workers were ordered, but for addresses. */
function opened() {
  const diary: string[] = [];
  const opener = new FakeOpener(diary);
  const all = rig({ 'vhost-user': opener });
  const { answers } = all;
  answers.order = (order) => {
    if (order.type === 'attach' && order.attachment.kind === 'device') diary.push(`attach ${order.attachment.handle}`);
    else if (order.type === 'detach' || order.type === 'sync') diary.push(order.type);
    return 0;
  };
  const since = () => diary.splice(0);
  const state = (name: string) => all.base.book.port('br0', name);
  const takesIn = (name: string) =>
    all.base.book.tablePorts().find(({ number }) => number === state(name).number)!.takes;
  return { ...all, opener, diary, since, state, takesIn };
}

/** Lets everything go on that waits for nothing but promises. */
const calm = () => new Promise((resolve) => setTimeout(resolve, 1));

describe('adding', () => {
  it('a port whose guest is there: opened, entered, attached, up', async () => {
    const { apply, opener, since, events, state, takesIn } = opened();
    opener.opening = (device) => device.come(7, Takes.ALL);
    await apply([], [vm('a')]);
    expect(since()).toEqual(['open a', 'attach 7']);
    expect(state('a')).toMatchObject({ up: true, reason: null, device: { by: 'opener', handle: 7 } });
    expect(takesIn('a')).toBe(Takes.ALL);
    expect(events).toMatchObject([{ type: 'port-up', port: 'a' }]);
  });

  it('one whose guest isn’t is down with a reason and takes nothing from the others', async () => {
    const { base, apply, since, events, state, takesIn } = opened();
    await apply([], [vm('a')]);
    expect(since()).toEqual(['open a']);
    expect(state('a')).toMatchObject({ up: false, reason: 'no guest has connected' });
    expect(takesIn('a')).toBe(0);
    expect(events).toMatchObject([{ type: 'port-down', port: 'a', reason: 'no guest has connected' }]);
    expect(portRows(base)[0]).toMatchObject({ up: false, missed: { 'ring-full': 3 } });
  });

  it('three, of which the third can’t be opened: none is there, and all is closed', async () => {
    const { base, apply, opener, closed, since } = opened();
    opener.broken.add('c');
    await expect(apply([], [tap('t'), vm('a'), vm('b'), vm('c')])).rejects.toMatchObject({
      code: 'socket-taken',
      message: 'br0/c: somebody listens at the socket of c',
    });
    expect(since().sort()).toEqual(['close a', 'close b', 'open a', 'open b', 'open c']);
    expect(closed).toEqual([1]);
    expect(base.book.ports()).toEqual([]);
  });

  it('one that workers can’t serve: taken off them before its device is closed', async () => {
    const { base, apply, answers, opener, since, diary } = opened();
    opener.opening = (device) => device.come(7);
    const before = answers.order;
    answers.order = (order) => Math.min(before(order) as number, order.type === 'attach' ? -19 : 0);
    await expect(apply([], [vm('a')])).rejects.toMatchObject({
      code: 'attach-failed',
      message: expect.stringMatching(/^port br0\/a can't be served: .*ENODEV/),
    });
    expect(since()).toEqual(['open a', 'attach 7', 'detach', 'sync', 'close a']);
    expect(base.book.ports()).toEqual([]);
    expect(diary).toEqual([]);
  });

  it('a kind that nothing opens is refused before anything is made', async () => {
    const { apply, processes } = opened();
    const netdev = { name: 'n', kind: 'netdev', device: 'eth7' };
    await expect(apply([], [tap('t'), netdev])).rejects.toMatchObject({
      code: 'kind-not-built',
      message: "br0/n: this build of weft can't open ports of kind netdev",
    });
    expect(processes).toEqual([]);
  });

  it('a device that asks and tells before it is a port is heard', async () => {
    const { apply, opener, since, state, settle } = opened();
    opener.opening = async (device) => {
      await device.host.aside(() => device.come(9));
      device.host.changed();
    };
    await apply([], [vm('a')]);
    await settle();
    expect(since()).toEqual(['open a', 'attach 9']);
    expect(state('a').up).toBe(true);
  });
});

describe('a device that changes', () => {
  it('comes up in the tables before its first frame is received, and takes what it can once workers serve it; goes down first in the tables', async () => {
    const { base, apply, opener, settle, events, since, state, takesIn } = opened();
    await apply([], [vm('a', { fdb: [{ mac: MAC }] })]);
    since();
    events.length = 0;
    const upAt: [boolean, string][] = [];
    const before: string[] = [];
    base.publish = async () => {
      before.push(...since());
      upAt.push([state('a').up, before.join()]);
    };
    opener.device('a').come(7, Takes.CHECKSUM);
    opener.device('a').host.changed();
    opener.device('a').host.changed();
    expect(state('a').up).toBe(false);
    await settle();
    expect([upAt.splice(0), takesIn('a')]).toEqual([
      [
        [true, ''],
        [true, 'attach 7'],
      ],
      Takes.CHECKSUM,
    ]);
    before.length = 0;
    opener.device('a').go();
    opener.device('a').host.changed();
    await settle();
    expect(since()).toEqual(['detach', 'sync']);
    expect(upAt).toEqual([[false, '']]);
    expect(events.map(({ type }) => type)).toEqual(['port-up', 'port-down']);
    expect(events[1]).toMatchObject({ reason: 'the guest is gone' });
  });

  it('many that end together cost one publication', async () => {
    const { base, apply, opener, settle } = opened();
    const names = Array.from({ length: 50 }, (_, k) => `v${k}`);
    opener.opening = (device) => device.come(1);
    await apply(
      [],
      names.map((name) => vm(name)),
    );
    let published = 0;
    base.publish = async () => void published++;
    for (const name of names) {
      opener.device(name).go();
      opener.device(name).host.changed();
    }
    await settle();
    expect(published).toBe(1);
  });

  it('takes less after a reboot: the tables know before workers serve it again', async () => {
    const { base, apply, opener, settle, since, takesIn, diary } = opened();
    opener.opening = (device) => device.come(7, Takes.ALL);
    await apply([], [vm('a')]);
    since();
    base.publish = async () => void diary.push(`publish ${takesIn('a')}`);
    const device = opener.device('a');
    await device.host.aside(() => {
      diary.push('change');
      device.come(8, Takes.CHECKSUM);
    });
    device.host.changed();
    await settle();
    expect(since()).toEqual(['detach', 'sync', 'change', `publish ${Takes.CHECKSUM}`, 'attach 8']);
  });

  it('that workers can’t serve is down with that reason until it changes again', async () => {
    const { apply, answers, opener, settle, state } = opened();
    await apply([], [vm('a')]);
    const before = answers.order;
    answers.order = (order) => (order.type === 'attach' ? -19 : before(order));
    const device = opener.device('a');
    device.come(7);
    device.host.changed();
    await settle();
    await settle();
    expect(state('a')).toMatchObject({ up: false, reason: "its device can't be served: ENODEV" });
    answers.order = before;
    device.come(8);
    device.host.changed();
    await settle();
    expect(state('a')).toMatchObject({ up: true, device: { handle: 8 } });
  });
});

describe('aside', () => {
  it('calls run one after the other; one that throws leaves the port attached', async () => {
    const { apply, opener, since, diary } = opened();
    opener.opening = (device) => device.come(7);
    await apply([], [vm('a')]);
    since();
    const { host } = opener.device('a');
    const first = host.aside(async () => {
      diary.push('first');
      await calm();
      throw new Error('no memory');
    });
    const second = host.aside(() => diary.push('second'));
    await expect(first).rejects.toThrow('no memory');
    await second;
    const once = (what: string) => ['detach', 'sync', what, 'attach 7'];
    expect(since()).toEqual([...once('first'), ...once('second')]);
  });

  it('a worker that starts meanwhile does not serve the port, and one that died is waited for', async () => {
    const { apply, answers, opener, since, state, diary } = opened();
    opener.opening = (device) => device.come(7);
    await apply([], [vm('a')]);
    since();
    const before = answers.order;
    let dead = 3;
    answers.order = (order) => (order.type !== 'attach' && dead-- > 0 ? -11 : before(order));
    await opener.device('a').host.aside(() => {
      diary.push('change');
      expect(attachmentOf(state('a'), 0)).toBeNull();
    });
    expect(since()).toEqual(['sync', 'change', 'attach 7']);
    expect(dead).toBeLessThan(0);
    expect(attachmentOf(state('a'), 0)).toMatchObject({ kind: 'device', handle: 7, queue: 0 });
  });

  it('under way while the port is deleted: it ends, is not attached again, and then the device is closed', async () => {
    const { apply, opener, since, diary } = opened();
    opener.opening = (device) => device.come(7);
    await apply([], [vm('a')]);
    since();
    const device = opener.device('a');
    let change = (): void => {};
    const aside = device.host.aside(() => new Promise<void>((resolve) => (change = resolve)));
    device.closing = async () => {
      // A device that waits for what it began must not wait for ever.
      await device.host.aside(() => diary.push('change while closing'));
      device.host.changed();
    };
    const deleted = apply([vm('a')], []);
    await calm();
    expect(diary).not.toContain('close a');
    change();
    await aside;
    await deleted;
    expect(since()).toEqual(['detach', 'sync', 'close a', 'change while closing']);
  });

  it('does not wait for an apply that is under way', async () => {
    const { apply, opener, since } = opened();
    opener.opening = (device) => device.come(7);
    await apply([], [vm('a')]);
    let open = (): void => {};
    opener.opening = () => new Promise<void>((resolve) => (open = resolve));
    const added = apply([vm('a')], [vm('a'), vm('b')]);
    await calm();
    since();
    await opener.device('a').host.aside(() => {});
    expect(since()).toEqual(['detach', 'sync', 'attach 7']);
    open();
    await added;
  });
});

describe('deleting', () => {
  it('tables first, then the workers, then the device; what it says after that is not heard', async () => {
    const { base, apply, opener, settle, since, diary, events } = opened();
    opener.opening = (device) => device.come(7);
    await apply([], [vm('a')]);
    since();
    events.length = 0;
    base.publish = async () => void diary.push('publish');
    await apply([vm('a')], []);
    expect(since()).toEqual(['publish', 'detach', 'sync', 'close a', 'publish']);
    opener.device('a').host.changed();
    await settle();
    expect([since(), events]).toEqual([[], []]);
  });

  it('a device that can’t be closed goes, and the deletion with it', async () => {
    const { base, apply, opener } = opened();
    await apply([], [vm('a')]);
    opener.device('a').closing = () => Promise.reject(new Error('busy'));
    await apply([vm('a')], []);
    expect(base.book.ports()).toEqual([]);
  });

  it('a socket that moves from one port to another is free before it is taken', async () => {
    const { apply, since } = opened();
    const a = [vm('a')];
    await apply([], a);
    await apply(a, [vm('b', { socket: '/run/a.sock' }), vm('c')]);
    expect(since()).toEqual(['open a', 'open c', 'close a', 'open b']);
    const recreated = modelOf([vm('b', { queues: 3 })]).bridges[0]!.ports[0];
    expect(recreated).toMatchObject({ queues: 3, mode: 'server' });
  });
});

describe('the whole switch', () => {
  const documentOf = (ports: readonly object[]) => ({
    bridges: [{ name: 'br0', 'fdb-limit': 64, ports: ports as never }],
  });

  async function running(ports: readonly object[]) {
    const all = opened();
    const captures = new Captures(all.base.view, () => all.base.pool);
    Object.assign(all.base.pool, { close: async () => void all.diary.push('workers end') });
    const sw = new RunningSwitch(all.base, captures, documentOf(ports), { file: null, keepDevices: false });
    await sw.apply(documentOf(ports), { dryRun: false });
    all.since();
    return { ...all, sw, apply: (next: readonly object[]) => sw.apply(documentOf(next), { dryRun: false }) };
  }

  it('an apply that fails half-way: what was deleted is opened again', async () => {
    const { apply, opener, since, sw } = await running([vm('a'), vm('b')]);
    opener.broken.add('c');
    // c needs a's socket, so that it can be opened only when a is gone.
    await expect(apply([vm('b'), vm('c', { socket: '/run/a.sock' }), vm('d')])).rejects.toThrow('somebody listens');
    expect(since()).toEqual(['open d', 'close a', 'open c', 'close d', 'open a']);
    expect(sw.ports().map(({ name }) => name)).toEqual(['b', 'a']);
    await sw.close();
  });

  it('follows a device that changes during an apply, after it, and does not wait for the one in the other', async () => {
    const { apply, opener, sw } = await running([vm('a')]);
    opener.opening = (device) => {
      opener.device('a').come(7);
      opener.device('a').host.changed();
      expect(sw.ports()[0]).toMatchObject({ up: false });
      device.reason = 'late';
    };
    await apply([vm('a'), vm('b')]);
    await calm();
    expect(sw.ports().map(({ up, reason }) => [up, reason])).toEqual([
      [true, null],
      [false, 'late'],
    ]);
    await sw.close();
  });

  it('closes every device once the workers have ended, also one in the middle of a change', async () => {
    const { opener, since, diary, sw } = await running([vm('a'), vm('b')]);
    const { host } = opener.device('a');
    opener.device('a').closing = () => host.aside(() => void diary.push('change'));
    await sw.close();
    expect(since()).toEqual(['workers end', 'close a', 'close b', 'change']);
    await expect(sw.deletePort('br0', 'a')).rejects.toMatchObject({ code: 'closing' });
  });

  it('a patch has no frames to capture', async () => {
    const { sw } = await running([{ name: 'p', kind: 'patch', peer: 'br1/q' }]);
    expect(() => sw.capture({ port: 'p', direction: 'both', snapLength: 100 })).toThrow(
      'br0/p is a patch: frames pass it within a turn, without being received or transmitted',
    );
    await sw.close();
  });
});

/** Targets beyond the links: what the bond machine makes of the monitor's word, and the real monitor with a network that answers. */
import { describe, expect, it } from 'vitest';
import { Bond, type BondHost } from '../../../../control/bonding/bond.ts';
import type { BondMode } from '../../../../control/model/bond.ts';
import { buildArpFrame } from '../../../../dataplane/wire/build.ts';
import { formatMac } from '../../../../dataplane/wire/text.ts';
import { MONITOR, NotingHost, Stand, settings } from './rig.ts';

const LACPDU = Uint8Array.from([1, 0x80, 0xc2, 0, 0, 2, 2, 0, 0, 0, 0, 9, 0x88, 0x09, 1, 1]);

describe('targets', () => {
  const MONITORED = { monitor: MONITOR };
  function silence(stand: Stand, ...names: string[]): Stand {
    stand.monitor.dead.clear();
    for (const name of names) stand.monitor.dead.add(name);
    stand.monitor.wakeAt = stand.now;
    stand.bond.tick(stand.now);
    stand.monitor.wakeAt = Number.POSITIVE_INFINITY;
    return stand;
  }

  it('that do not answer make a member as good as lost', () => {
    const stand = silence(new Stand(settings(MONITORED)).start(), 'a');
    expect([stand.active, stand.state('a')]).toEqual(['b', 'down: its targets do not answer']);
    expect(stand.host.reasons).toEqual(['a no longer carries: its targets do not answer; b is active']);
    expect(stand.bond.row().members[0]!.failures).toBe(1);
    silence(stand, 'a', 'b');
    expect(stand.bond.up).toBe(false);
    expect(silence(stand, 'b').active).toBe('a');
  });

  it('are asked by the member that carries, as the bond', () => {
    const stand = new Stand(settings(MONITORED)).start();
    stand.command('b', 'activate');
    expect(stand.monitor.everyone).toBe(false);
    expect(stand.monitor.heard).toEqual([
      'add a 02:00:00:00:00:01',
      'carrying a',
      'add b 02:00:00:00:00:01',
      'carrying a',
      'carrying b',
    ]);
  });

  it('are asked by each member as itself where all carry over links of one network', () => {
    const stand = new Stand(settings({ mode: 'balance-slb', ...MONITORED })).start();
    expect(stand.monitor.everyone).toBe(true);
    expect(stand.monitor.heard.filter((word) => word.startsWith('add'))).toEqual([
      'add a 02:00:00:00:01:00',
      'add b 02:00:00:00:01:01',
    ]);
  });

  it('are asked as another address when a device has another', () => {
    const stand = new Stand(settings({ mode: 'balance-slb', ...MONITORED })).start();
    stand.monitor.heard.length = 0;
    stand.link('b', true, { mac: '02:00:00:00:09:09' });
    expect(stand.monitor.heard).toEqual(['remove b', 'add b 02:00:00:00:09:09', 'carrying a b']);
  });

  it('that did not answer are not believed in again because they are asked otherwise', () => {
    const stand = silence(new Stand(settings(MONITORED)).start(), 'a');
    stand.configure(settings({ monitor: { ...MONITOR, missedMax: MONITOR.missedMax + 1 } }));
    expect(stand.monitor.heard).toContain('add a 02:00:00:00:00:01 dead');
    expect(stand.monitor.heard).toContain('add b 02:00:00:00:00:01');
    stand.configure(settings({ monitor: { ...MONITOR, targets: ['192.0.2.77'] } }));
    expect(stand.monitor.heard).not.toContain('add a 02:00:00:00:00:01 dead');
  });

  it('are watched anew when the settings ask for others, and no more when they ask for none', () => {
    const stand = new Stand(settings(MONITORED)).start();
    stand.configure(settings({ ...MONITORED, seed: 3 }, ['b', 'c']));
    expect([stand.monitors.length, [...stand.monitor.members]]).toEqual([1, ['b']]);
    stand.configure(settings({ monitor: { ...MONITORED.monitor, missedMax: 5 } }, ['b', 'c']));
    expect([stand.monitors.length, [...stand.monitor.members]]).toEqual([2, ['b']]);
    stand.monitor.dead.add('b');
    stand.configure(settings({}, ['b', 'c']));
    expect(stand.active).toBe('b');
  });

  it('hear frames that are not of LACP', () => {
    const stand = new Stand(settings(MONITORED)).start();
    stand.bond.receive('b', new Uint8Array(42), stand.now);
    stand.bond.receive('b', LACPDU, stand.now);
    expect(stand.monitor.heard.filter((word) => word === 'receive b').length).toBe(1);
  });
});

/** A bond with the real monitor; the network answers by the members that a test leaves connected. */
class Network {
  readonly answering = new Set(['a', 'b']);
  readonly bond: Bond;
  readonly counts = new Map<string, number>();
  now = 0;
  #answers: { at: number; name: string; frame: Uint8Array }[] = [];

  constructor(mode: BondMode) {
    const host: BondHost = Object.assign(new NotingHost(), {
      sendMember: (name: string, frame: Uint8Array) => this.#answer(name, frame),
      received: (name: string) => this.counts.get(name) ?? 0,
    });
    const monitor = { ...MONITOR, validate: 'all' as const };
    this.bond = new Bond(settings({ mode, monitor, sources: ['10.0.0.1'] }), host, 0);
    for (const [index, name] of ['a', 'b'].entries())
      this.bond.link(name, { up: true, speed: 10e9, mac: `02:00:00:00:01:0${index}` }, 0);
  }

  /** The target answers who asked; the others hear the question, since upstream is a switch. */
  #answer(name: string, frame: Uint8Array): void {
    if (!this.answering.has(name)) return;
    const targetMac = formatMac(frame, 6);
    const reply = buildArpFrame({
      operation: 2,
      vlan: [],
      senderMac: '02:00:00:00:09:09',
      senderAddress: '10.0.0.9',
      targetMac,
      targetAddress: '10.0.0.1',
    });
    this.#answers.push({ at: this.now + 1, name, frame: reply });
    for (const other of this.answering)
      if (other !== name) this.#answers.push({ at: this.now + 1, name: other, frame });
  }

  run(ms: number): this {
    const end = this.now + ms;
    for (;;) {
      const next = Math.min(this.bond.wakeAt, ...this.#answers.map(({ at }) => at));
      if (next > end) break;
      this.now = Math.max(this.now, next);
      for (const { name, frame } of this.#answers.splice(0)) {
        this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
        this.bond.receive(name, frame, this.now);
      }
      if (this.bond.wakeAt <= this.now) this.bond.tick(this.now);
    }
    this.now = end;
    return this;
  }

  get states(): string {
    return this.bond
      .row()
      .members.map(({ name, state }) => `${name} ${state}`)
      .join(', ');
  }
}

describe('a bond and its targets', () => {
  it('active-backup: goes over to the member by which they answer, and lets the other stand by when it is well', () => {
    const network = new Network('active-backup').run(10_000);
    expect(network.states).toBe('a active, b standby');
    network.answering.delete('a');
    expect(network.run(3500).states).toBe('a down, b active');
    expect(network.run(20_000).states).toBe('a down, b active');
    network.answering.add('a');
    expect(network.run(3000).states).toBe('a standby, b active');
  });

  it('active-backup: is down while they answer nowhere, and up when they do again', () => {
    const network = new Network('active-backup').run(10_000);
    network.answering.clear();
    expect(network.run(10_000).bond.reason).toBe('no member is up');
    network.answering.add('b');
    expect(network.run(5000).states).toBe('a down, b active');
  });

  it.each(['balance-xor', 'balance-slb'] as const)(
    '%s: only the member by which they do not answer is lost',
    (mode) => {
      const network = new Network(mode).run(10_000);
      const all = mode === 'balance-xor' ? 'a enabled, b enabled' : 'a active, b enabled';
      expect(network.states).toBe(all);
      network.answering.delete('b');
      expect(network.run(3500).bond.steering.carrying).toEqual(['a']);
      network.answering.add('b');
      expect(network.run(3000).states).toBe(all);
    },
  );
});

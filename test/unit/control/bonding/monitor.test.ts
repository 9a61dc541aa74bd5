/** Targets beyond a bond's links, on a clock of the test: who is asked, what counts as life, and when silence is death. */
import { describe, expect, it } from 'vitest';
import {
  arpRequest,
  gratuitousArp,
  NO_IPV4,
  NO_IPV6,
  neighbourSolicitation,
  unsolicitedNa,
} from '../../../../control/bonding/announcements.ts';
import { type MonitorOptions, TargetMonitor } from '../../../../control/bonding/monitor.ts';
import { readSaid, type Said } from '../../../../control/bonding/target-frames.ts';
import type { MonitorModel } from '../../../../control/model/bond.ts';
import { buildArpFrame, buildEchoFrame, buildFrame } from '../../../../dataplane/wire/build.ts';
import { randomFrom, seedFor } from '../../../seed.ts';

const OURS = '02:00:00:00:00:01';
const OTHER = '02:00:00:00:00:99';
const TARGET = '192.0.2.9';
const SECOND = '192.0.2.10';
const TARGET6 = '2001:db8::9';
const TARGET_MAC = '02:00:00:00:00:09';

function model(changes: Partial<MonitorModel> = {}): MonitorModel {
  return {
    targets: [TARGET],
    intervalMs: 1000,
    missedMax: 2,
    validate: 'all',
    require: 'any',
    vlan: 0,
    ...changes,
  };
}

function arpReply(sender = TARGET, to = OURS, vid = 0): Uint8Array {
  const vlan = vid === 0 ? [] : [{ vid }];
  const addresses = { senderMac: TARGET_MAC, senderAddress: sender, targetMac: to, targetAddress: '192.0.2.1' };
  return buildArpFrame({ operation: 2, vlan, ...addresses });
}

/** A monitor over a and b, what it sent, and what counters say. */
class Rig {
  readonly sent: { readonly at: number; readonly member: string; readonly frame: Uint8Array; readonly said: Said }[] =
    [];
  readonly received = new Map<string, number>();
  readonly monitor: TargetMonitor;
  now = 0;
  /** Answers what went out of a member. */
  answer: (member: string, said: Said) => void = () => undefined;

  constructor(settings: Partial<MonitorModel> = {}, options: MonitorOptions = {}, sources = ['192.0.2.1']) {
    const send = (member: string, frame: Uint8Array) => {
      const said = readSaid(frame)!;
      this.sent.push({ at: this.now, member, frame, said });
      this.answer(member, said);
    };
    this.monitor = new TargetMonitor(model(settings), OURS, sources, 0, send, options);
    for (const member of ['a', 'b']) this.monitor.addMember(member, 0);
    this.monitor.carrying(['a'], 0);
  }

  /** As the machine does: a tick whenever one is wanted. */
  until(at: number): void {
    while (this.monitor.wakeAt <= at) {
      this.now = Math.max(this.now, this.monitor.wakeAt);
      this.tick();
    }
    this.now = at;
  }

  tick(): void {
    this.monitor.tick(this.now, (member) => this.received.get(member) ?? 0);
  }

  hear(member: string, frame: Uint8Array): void {
    this.monitor.receive(member, frame, this.now);
  }

  alive(): string {
    return ['a', 'b'].filter((member) => this.monitor.alive(member)).join('');
  }

  members(since = 0): string {
    return this.sent
      .filter(({ at }) => at >= since)
      .map(({ member }) => member)
      .join('');
  }
}

describe('probes', () => {
  it('go out of the carrying member at once and every interval, to every target, as a request', () => {
    const rig = new Rig({ targets: [TARGET, TARGET6] }, {}, ['192.0.2.1', 'fe80::1']);
    rig.answer = (member, said) =>
      rig.hear(member, said.target === TARGET ? arpReply() : unsolicitedNa(OTHER, TARGET6));
    rig.until(2999);
    expect(rig.sent.map(({ at, member }) => `${at}${member}`)).toEqual([
      '0a',
      '0a',
      '1000a',
      '1000a',
      '2000a',
      '2000a',
    ]);
    expect(rig.sent[0]!.frame).toEqual(arpRequest(OURS, '192.0.2.1', TARGET));
    expect(rig.sent[1]!.frame).toEqual(neighbourSolicitation(OURS, 'fe80::1', TARGET6));
  });

  it('come from the source that is nearest to the target, and from nobody without one of its family', () => {
    const sources = ['10.0.0.1', '192.0.2.1', 'fe80::1', '2001:db8::1'];
    const targets = [TARGET, '10.9.9.9', TARGET6, 'FE80::0:9'];
    const senders = (own: readonly string[]) => {
      const rig = new Rig({ targets }, {}, [...own]);
      rig.until(0);
      return rig.sent.map(({ said }) => `${said.sender} ${said.target}`);
    };
    expect(senders(sources)).toEqual([
      `192.0.2.1 ${TARGET}`,
      '10.0.0.1 10.9.9.9',
      `2001:db8::1 ${TARGET6}`,
      'fe80::1 fe80::9',
    ]);
    const nobody = [`${NO_IPV4} ${TARGET}`, `${NO_IPV4} 10.9.9.9`, `${NO_IPV6} ${TARGET6}`, `${NO_IPV6} fe80::9`];
    expect(senders([])).toEqual(nobody);
  });

  it('go out of every member in turn while none carries, and of all where all carry', () => {
    const rig = new Rig();
    rig.monitor.carrying([], 0);
    rig.until(3999);
    expect(rig.members()).toBe('abab');
    const balanced = new Rig({}, { everyone: true });
    balanced.until(3999);
    expect(balanced.members()).toBe('abababab');
  });

  it('go out at once of a member that begins to carry', () => {
    const rig = new Rig();
    rig.until(300);
    rig.monitor.carrying(['b'], 300);
    rig.until(300);
    expect(rig.members()).toBe('ab');
  });

  it('are tagged with the VLAN unless told otherwise, and only answers in it count', () => {
    const rig = new Rig({ vlan: 10 });
    rig.until(0);
    expect(rig.sent[0]!.said.vid).toBe(10);
    rig.until(1500);
    for (const frame of [arpReply(), arpReply(TARGET, OURS, 11)]) rig.hear('a', frame);
    rig.until(2000);
    expect(rig.alive()).toBe('b');
    rig.hear('a', arpReply(TARGET, OURS, 10));
    expect(rig.alive()).toBe('ab');
    const untagged = new Rig({ vlan: 10 }, { tag: null });
    untagged.until(1500);
    expect(untagged.sent[0]!.said.vid).toBe(0);
    untagged.hear('a', arpReply());
    untagged.until(2000);
    expect(untagged.alive()).toBe('ab');
    const service = new Rig({ vlan: 10 }, { tag: { vid: 20, tpid: 0x88a8 } });
    service.until(0);
    expect(Buffer.from(service.sent[0]!.frame).readUInt32BE(12)).toBe(0x88a8_0014);
  });

  it('of a member with an address of its own bear it, and its answers must', () => {
    const rig = new Rig({}, { everyone: true });
    rig.monitor.removeMember('b');
    rig.monitor.addMember('b', 0, '02:00:00:00:00:BB');
    rig.answer = (member) => rig.hear(member, arpReply());
    rig.until(2000);
    expect(rig.sent.find(({ member }) => member === 'b')!.said.from).toBe('02:00:00:00:00:bb');
    expect(rig.alive()).toBe('a');
    rig.answer = (member, said) => rig.hear(member, arpReply(TARGET, said.from));
    rig.until(3000);
    expect(rig.alive()).toBe('ab');
  });
});

describe('death', () => {
  it('is missedMax silent intervals after the last answer, neither before nor after; an answer is life again', () => {
    const rig = new Rig({ missedMax: 3 });
    rig.until(5);
    rig.hear('a', arpReply());
    rig.until(3004);
    expect(rig.alive()).toBe('ab');
    rig.until(3005);
    expect(rig.alive()).toBe('b');
    rig.hear('a', arpReply());
    expect(rig.alive()).toBe('ab');
  });

  it('is not for a member that never answered before its time is up; who stands by has one interval more', () => {
    const rig = new Rig();
    rig.until(1999);
    expect(rig.alive()).toBe('ab');
    rig.until(2000);
    expect(rig.alive()).toBe('b');
    rig.until(3000);
    expect(rig.alive()).toBe('');
    expect(rig.monitor.alive('nobody')).toBe(false);
  });

  it('does not come by an answer that is a little late, also when one silent interval is too many', () => {
    const rig = new Rig({ missedMax: 1 });
    for (const at of [10, 1490, 2010, 3480]) {
      rig.until(at);
      expect(rig.alive()).toBe('ab');
      rig.hear('a', arpReply());
      rig.hear('b', arpReply());
    }
    rig.until(3480 + 1499);
    expect(rig.alive()).toBe('ab');
    rig.until(3480 + 1500);
    expect(rig.alive()).toBe('b');
  });

  it('is forgotten by nothing that was seen before it: who is dead needs a new answer in its new part too', () => {
    const rig = new Rig({ validate: 'active' });
    for (let at = 100; at < 2000; at += 100) {
      rig.until(at);
      rig.hear('a', gratuitousArp(OTHER, '192.0.2.77'));
      rig.hear('b', gratuitousArp(OTHER, '192.0.2.77'));
    }
    rig.until(2000);
    expect(rig.alive()).toBe('b');
    rig.monitor.carrying(['b'], 2000);
    rig.until(2300);
    expect(rig.alive()).toBe('b');
  });

  it('gives a member that begins to carry its time to answer', () => {
    const rig = new Rig();
    rig.until(1500);
    rig.monitor.carrying(['b'], 1500);
    rig.until(3499);
    expect(rig.alive()).toContain('b');
    rig.until(3500);
    expect(rig.monitor.alive('b')).toBe(false);
  });

  it('is not what happens to everybody because the process slept', () => {
    const rig = new Rig();
    rig.until(100);
    rig.hear('a', arpReply());
    rig.now = 60_000;
    rig.tick();
    expect(rig.alive()).toBe('ab');
    expect(rig.members(60_000)).toBe('a');
    rig.until(60_900);
    expect(rig.members(60_000)).toBe('a');
    rig.until(63_000);
    expect(rig.alive()).toBe('');
    const counting = new Rig({ validate: 'none' });
    counting.now = 60_000;
    counting.tick();
    expect(counting.alive()).toBe('ab');
  });

  it('a member that was added to an old monitor is no older than it is', () => {
    const rig = new Rig();
    for (const member of ['a', 'b']) rig.monitor.removeMember(member);
    expect(rig.monitor.wakeAt).toBe(Number.POSITIVE_INFINITY);
    rig.now = 100_000;
    rig.monitor.addMember('a', rig.now);
    rig.monitor.carrying(['a'], rig.now);
    rig.until(101_999);
    expect(rig.alive()).toBe('a');
    rig.until(102_000);
    expect(rig.alive()).toBe('');
  });
});

/** How often something comes to the two members, a carrying and b standing by, and who is alive after ten intervals of it. */
function livesBy(settings: Partial<MonitorModel>, a: Uint8Array | null, b: Uint8Array | null = a): string {
  const rig = new Rig(settings);
  for (let at = 500; at <= 10_000; at += 500) {
    rig.until(at);
    if (a !== null) rig.hear('a', a);
    if (b !== null) rig.hear('b', b);
  }
  return rig.alive();
}

describe('what counts', () => {
  const noise = gratuitousArp(OTHER, '192.0.2.77');
  const ours = arpRequest(OURS, '192.0.2.1', TARGET);

  it('validate says of which members any frame counts', () => {
    expect(livesBy({ validate: 'none' }, noise)).toBe('ab');
    expect(livesBy({ validate: 'active' }, noise)).toBe('b');
    expect(livesBy({ validate: 'backup' }, noise)).toBe('a');
    expect(livesBy({ validate: 'all' }, noise)).toBe('');
  });

  it('of a carrying member: the reply of a target to us', () => {
    expect(livesBy({}, arpReply(), null)).toBe('a');
    expect(livesBy({}, arpReply('192.0.2.8'), null)).toBe('');
    expect(livesBy({}, arpReply(TARGET, OTHER), null)).toBe('');
    expect(livesBy({}, ours, null)).toBe('');
    expect(livesBy({}, gratuitousArp(TARGET_MAC, TARGET), null)).toBe('');
  });

  it('of a carrying member: the advertisement of a target to us or all, with hop limit and checksum right', () => {
    const settings = { targets: [TARGET6] };
    const na = unsolicitedNa(TARGET_MAC, TARGET6);
    expect(livesBy(settings, na, null)).toBe('a');
    expect(livesBy(settings, unsolicitedNa(TARGET_MAC, '2001:db8::8'), null)).toBe('');
    expect(livesBy(settings, Uint8Array.from(na).fill(254, 21, 22), null)).toBe('');
    expect(livesBy(settings, Uint8Array.from(na).fill(0, 56, 58), null)).toBe('');
    const direct = Uint8Array.from(na);
    direct.set([2, 0, 0, 0, 0, 1], 0);
    expect(livesBy(settings, direct, null)).toBe('a');
    direct.set([2, 0, 0, 0, 0, 2], 0);
    expect(livesBy(settings, direct, null)).toBe('');
    expect(livesBy(settings, neighbourSolicitation(TARGET_MAC, TARGET6, '2001:db8::7'), null)).toBe('');
  });

  it('of one that stands by: our own request, but only while the one that sent it is answered; or a target speaking', () => {
    expect(livesBy({}, arpReply(), ours)).toBe('ab');
    expect(livesBy({}, null, ours)).toBe('');
    expect(livesBy({}, arpReply(), arpRequest(OTHER, '192.0.2.7', TARGET))).toBe('a');
    expect(livesBy({}, null, arpRequest(TARGET_MAC, TARGET, '192.0.2.55'))).toBe('b');
    expect(livesBy({}, null, gratuitousArp(TARGET_MAC, TARGET))).toBe('b');
  });

  it('require says whether one target suffices', () => {
    const targets = [TARGET, SECOND];
    expect(livesBy({ targets }, arpReply(SECOND))).toBe('ab');
    expect(livesBy({ targets, require: 'all' }, arpReply(SECOND))).toBe('');
    const rig = new Rig({ targets, require: 'all' });
    for (let at = 500; at <= 5000; at += 500) {
      rig.until(at);
      rig.hear('a', arpReply(at % 1000 === 0 ? TARGET : SECOND));
    }
    expect(rig.alive()).toBe('a');
  });

  it('frames that are only counted are life where any frame is', () => {
    const lives = (validate: MonitorModel['validate'], missedMax: number) => {
      const rig = new Rig({ validate, missedMax });
      for (let at = 0; at <= 10_000; at += 990) {
        rig.until(at);
        for (const member of ['a', 'b']) rig.received.set(member, at + 1);
      }
      return rig.alive();
    };
    expect(lives('none', 1)).toBe('ab');
    expect(lives('none', 2)).toBe('ab');
    expect(lives('active', 2)).toBe('b');
    expect(lives('all', 2)).toBe('');
  });

  it('a member that counts no more is dead within missedMax intervals, whenever its last frame came', () => {
    for (let last = 3000; last < 4000; last += 130) {
      const rig = new Rig({ validate: 'none' });
      for (let at = 0; at <= last; at += 10) {
        rig.until(at);
        rig.received.set('a', at + 1);
      }
      rig.until(last + 1490);
      expect(rig.monitor.alive('a')).toBe(true);
      rig.until(last + 2000);
      expect(rig.monitor.alive('a')).toBe(false);
    }
  });
});

it('asks at most every interval however often it is woken, and wants to be woken in the future', () => {
  const rig = new Rig({ validate: 'none' });
  for (let k = 0; k < 1000; k++) {
    rig.now += 10;
    rig.tick();
    expect(rig.monitor.wakeAt).toBeGreaterThan(rig.now);
  }
  expect(rig.sent.length).toBe(11);
});

it('nonsense says nothing and is no error', () => {
  const random = randomFrom(seedFor('nonsense frames'));
  const rig = new Rig({ targets: [TARGET, TARGET6] });
  const whole = [
    arpReply(),
    arpReply(TARGET, OURS, 10),
    unsolicitedNa(TARGET_MAC, TARGET6),
    neighbourSolicitation(OURS, NO_IPV6, TARGET6, { vid: 10 }),
    buildFrame({ dst: OURS, src: OTHER }, 0x86dd, new Uint8Array(0)),
    buildEchoFrame({ dst: OURS, src: OTHER, ip6: { source: TARGET6, destination: 'ff02::1', hopLimit: 255 } }),
  ];
  for (const frame of whole) for (let cut = 0; cut <= frame.length; cut++) rig.hear('a', frame.subarray(0, cut));
  for (let k = 0; k < 20_000; k++) {
    const frame = Uint8Array.from(whole[random(whole.length)]!);
    for (let changes = 1 + random(4); changes > 0; changes--) frame[random(frame.length)] = random(256);
    rig.hear('a', frame.subarray(0, random(3) === 0 ? random(frame.length + 1) : frame.length));
  }
  expect(readSaid(new Uint8Array(0))).toBeNull();
  rig.hear('nobody', arpReply());
});

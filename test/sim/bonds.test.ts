/**
 * Two switches over four links, as bonds or against a plain bridge, with links that fail: no loops, no copies, in order, and healed in the
 * mode's time. What always holds is in bond-run.ts.
 */
import { describe, expect, it } from 'vitest';
import type { BondMode, BondSettings, LacpModel, MonitorModel } from '../../control/model/bond.ts';
import { macKeys } from '../../control/model/mac.ts';
import { PortCell } from '../../dataplane/memory/layout.ts';
import { sourceBucket } from '../../dataplane/tables/bond-layout.ts';
import { isLong } from '../needs.ts';
import { randomFrom, seedFor } from '../seed.ts';
import { BondRun, STEP_MS, TARGET } from './bond-run.ts';
import { BOND, type BondSide, LINK_PORTS, MEMBERS } from './bond-sides.ts';
import type { Random } from './network.ts';

const CHANGES = isLong() ? 60 : 12;
const TIMEOUT_MS = 300_000;
/** Enough that each link has some, however they are hashed. */
const FLOWS = 512;
const DELAY_MAX_MS = 20;
/** Sent, on the link, received, heard; and each end learns of a carrier up to two steps late. */
const AT_ONCE_MS = DELAY_MAX_MS + 6 * STEP_MS;
/** A link that returns: fast LACPDUs, two seconds of waiting for others to join, and the partner's word. */
const JOIN_MS = 6000;
/** One that both ends gave up without a loss of carrier: till then they send every 30 s. */
const REJOIN_MS = 30_000 + JOIN_MS;
const LACP_FAST_MS = 3000;
const MONITOR: MonitorModel = {
  targets: [TARGET],
  intervalMs: 100,
  missedMax: 2,
  validate: 'all',
  require: 'any',
  vlan: 0,
};
/** From the last answer, which was under way when the link fell silent. */
const MONITOR_MS = MONITOR.intervalMs * MONITOR.missedMax + DELAY_MAX_MS;

const ONE_VLAN = [10, 10, 10];
const ONE = '02:00:00:00:b0:00';
const OTHER = '02:00:00:00:b1:00';

function lacp(systemMac: string, changes: Partial<LacpModel> = {}): LacpModel {
  return {
    mode: 'active',
    rate: 'fast',
    systemPriority: 65535,
    systemMac,
    key: null,
    select: 'stable',
    fallback: false,
    strict: true,
    ...changes,
  };
}

function settings(mode: BondMode, mac: string, changes: Partial<BondSettings> = {}): BondSettings {
  const hashes = mode === 'balance-xor' || mode === '802.3ad';
  return {
    mode,
    members: MEMBERS.map((name) => ({ name, priority: 32768, speed: null })),
    hash: hashes ? 'layer3+4' : 'vlan+srcmac',
    seed: mac === ONE ? 0 : 99,
    rebalanceMs: 0,
    updelayMs: 0,
    downdelayMs: 0,
    mac,
    sources: [],
    primary: null,
    primaryReselect: 'always',
    minLinks: 1,
    packetsPerMember: 1,
    lacp: mode === '802.3ad' ? lacp(mac) : null,
    monitor: null,
    ...changes,
  };
}

/** Hosts without VLANs; in one; or some in one and some in another, which the bond carries as a trunk. */
function vlansOf(random: Random): readonly number[] {
  return [
    [0, 0, 0],
    [10, 10, 10],
    [10, 10, 20],
  ][random(3)]!;
}

/** Both ends alike, their hosts known to each other; links of different delay unless told otherwise. */
function twoBonds(
  mode: BondMode,
  random: Random,
  changes: Partial<BondSettings> = {},
  delayMaxMs = DELAY_MAX_MS,
): BondRun {
  const delaysMs = MEMBERS.map(() => random(delayMaxMs + 1));
  const ends = [ONE, OTHER].map((mac) => settings(mode, mac, changes));
  const run = new BondRun({ settings: ends[0]!, peer: ends[1]!, random, delaysMs, vlans: vlansOf(random) });
  run.run(mode === '802.3ad' ? JOIN_MS : AT_ONCE_MS, 0);
  run.introduce();
  return run;
}

/**
 * One end is a bridge that learns by link. Links have one delay: else what an active member sent last could come later than what its
 * successor announces, as it could with Linux and Open vSwitch.
 */
function bondAndBridge(
  mode: BondMode,
  random: Random,
  changes: Partial<BondSettings> = {},
  vlans = vlansOf(random),
  delayMs = random(DELAY_MAX_MS + 1),
): BondRun {
  const delaysMs = new Array<number>(MEMBERS.length).fill(delayMs);
  // The target is where the first host is.
  const monitor = changes.monitor ? { ...changes.monitor, vlan: vlans[0]! } : null;
  const own = settings(mode, ONE, { ...changes, monitor });
  const run = new BondRun({ settings: own, peer: null, random, delaysMs, vlans });
  run.run(AT_ONCE_MS, 0);
  run.introduce();
  return run;
}

/** A seed with which the first two hosts of the first end begin on one member of balance-slb. */
function sharingSeed(): number {
  const { buckets } = bondAndBridge('balance-slb', randomFrom(1), {}, [0, 0, 0]).sides[0].machine!.steering;
  const keys = ['02:00:00:00:00:01', '02:00:00:00:00:02'].map(macKeys);
  for (let seed = 0; ; seed++) {
    const [one, other] = keys.map(({ key0, low }) => buckets[sourceBucket(seed, key0, low, 0)]);
    if (one === other) return seed;
  }
}

/**
 * Some links lose or regain their carrier, a few of them several times, so many steps apart at least; one at least is there. Answers whether
 * one returned.
 */
function changeCarriers(run: BondRun, random: Random, stepsLate: number, stepsApart = 0): boolean {
  let hasReturned = false;
  const set = (link: number, up: boolean, steps: number) => {
    hasReturned ||= up;
    run.setCarrier(link, up, [random(steps + 1), random(steps + 1)]);
  };
  for (let flaps = random(4) === 0 ? 1 + random(6) : 0; flaps > 0; flaps--) {
    const link = random(MEMBERS.length);
    set(link, !run.wires[link]!.carrier, 0);
    run.run((stepsApart + random(4)) * STEP_MS);
  }
  const wanted = MEMBERS.map(() => random(2) === 0);
  wanted[random(MEMBERS.length)] = true;
  for (const [link, up] of wanted.entries()) if (run.wires[link]!.carrier !== up) set(link, up, stepsLate);
  return hasReturned;
}

/** Some links lose what is sent one way or both, and nobody is told; one at least doesn't. Answers whether one returned. */
function changeSilence(run: BondRun, random: Random, share = 3): boolean {
  const before = run.wires.map(({ isWhole }) => isWhole);
  const spared = random(MEMBERS.length);
  for (const [link, wire] of run.wires.entries())
    for (const end of [0, 1] as const) wire.quiet[end] = link !== spared && random(share) === 0;
  return run.wires.some(({ isWhole }, link) => isWhole && !before[link]);
}

describe('links that lose their carrier are replaced at once', () => {
  it.each<BondMode>(['balance-rr', 'balance-xor', 'broadcast', '802.3ad', 'active-backup'])(
    '%s, between two bonds',
    (mode) => {
      const random = randomFrom(seedFor(`carriers of ${mode}`));
      const run = twoBonds(mode, random);
      for (let k = 0; k < CHANGES; k++) {
        // Ends of active-backup that see different things for a moment may settle on different links: that needs a bridge between them.
        const hasReturned = changeCarriers(run, random, mode === 'active-backup' ? 0 : 2);
        run.run(hasReturned && mode === '802.3ad' ? JOIN_MS : AT_ONCE_MS);
        run.runSteady(300);
      }
      for (const link of LINK_PORTS.keys()) run.setCarrier(link, true);
      run.run(JOIN_MS);
      // All of them carry something.
      if (mode !== 'active-backup') for (const sent of run.spread(FLOWS)) expect(sent).toBeGreaterThan(20);
      expect(run.delivered).toBeGreaterThan(1000);
      if (mode === 'broadcast') expect(run.copies).toBeGreaterThan(100);
      else expect(run.copies).toBe(0);
    },
    TIMEOUT_MS,
  );

  // Copies of what a bridge floods since it forgot where the receiver is are let in by all members of slb, tlb and alb, as Open vSwitch does.
  it.each<BondMode>(['active-backup', 'balance-slb', 'balance-tlb', 'balance-alb'])(
    '%s, at a bridge that knows of no bond',
    (mode) => {
      const random = randomFrom(seedFor(`carriers of ${mode} at a bridge`));
      const run = bondAndBridge(mode, random);
      for (let k = 0; k < CHANGES; k++) {
        // Of a link that is back within its step the bridge hears in that step too, after the one that announces its successor.
        changeCarriers(run, random, 2, 1);
        run.run(AT_ONCE_MS, 3 * random(2));
        run.runSteady(300);
      }
      expect(run.delivered).toBeGreaterThan(1000);
      if (mode === 'active-backup') expect(run.copies).toBe(0);
      else expect(run.dropped(0, 'reflected')).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );

  it('802.3ad, when all were gone', () => {
    const random = randomFrom(seedFor('all carriers gone'));
    const run = twoBonds('802.3ad', random);
    for (const link of LINK_PORTS.keys()) run.setCarrier(link, false);
    run.run(1000);
    expect(run.sides.map(({ machine }) => machine!.up)).toEqual([false, false]);
    for (const link of LINK_PORTS.keys()) run.setCarrier(link, true);
    run.run(JOIN_MS);
    run.runSteady(300);
  });
});

describe('links that fall silent are replaced in time', () => {
  it(
    '802.3ad with fast LACPDUs: in three seconds',
    () => {
      const random = randomFrom(seedFor('silent links of 802.3ad'));
      const run = twoBonds('802.3ad', random);
      for (let k = 0; k < CHANGES / 2; k++) {
        const hasReturned = changeSilence(run, random);
        run.run(hasReturned ? REJOIN_MS : LACP_FAST_MS + AT_ONCE_MS, hasReturned ? 0 : 3);
        run.runSteady(300);
      }
      expect(run.copies).toBe(0);
    },
    TIMEOUT_MS,
  );

  it.each<BondMode>(['active-backup', 'balance-slb'])(
    '%s with a target: in missedMax intervals',
    (mode) => {
      const random = randomFrom(seedFor(`silent links of ${mode}`));
      const run = bondAndBridge(mode, random, { monitor: MONITOR, sources: ['10.9.0.2'] });
      for (let k = 0; k < 2 * CHANGES; k++) {
        // The active one at first, so that one fails over at least.
        const link = k === 0 ? MEMBERS.indexOf(run.sides[0].machine!.row().active!) : random(MEMBERS.length);
        const { quiet, isWhole } = run.wires[link]!;
        const others = run.wires.filter((wire) => wire.isWhole && wire !== run.wires[link]).length;
        if (!isWhole) quiet.fill(false);
        // What reaches only one end can't be known of a member that stands by.
        else if (others > 0) [quiet[0], quiet[1]] = [random(2) === 0, true];
        // While hosts are silent only what the bond announces teaches the bridge.
        run.run(MONITOR_MS + AT_ONCE_MS, 3 * random(2));
        run.runSteady(300);
      }
      expect(run.sides[0].machine!.row().failovers).toBeGreaterThan(0);
      if (mode === 'active-backup') expect(run.copies).toBe(0);
    },
    TIMEOUT_MS,
  );
});

describe('while nothing fails', () => {
  it(
    'changes of mode, hash and members cost nothing that lasts',
    () => {
      const random = randomFrom(seedFor('changes of settings'));
      const modes: readonly BondMode[] = ['balance-xor', '802.3ad', 'balance-rr', 'active-backup'];
      const run = twoBonds('balance-xor', random);
      for (let k = 0; k < CHANGES; k++) {
        const mode = modes[random(modes.length)]!;
        const gone = random(MEMBERS.length + 2);
        const hash =
          mode === 'active-backup' ? 'vlan+srcmac' : (['layer2', 'layer2+3', 'layer3+4'] as const)[random(3)]!;
        for (const [at, side] of run.sides.entries()) {
          const changed = settings(mode, at === 0 ? ONE : OTHER, { hash });
          const members = changed.members.filter((_, link) => link !== gone);
          (side as BondSide).configure({ ...changed, members }, run.now);
        }
        run.mode = mode;
        for (const link of LINK_PORTS.keys()) run.tellCarrier(link);
        run.run(mode === '802.3ad' ? JOIN_MS : AT_ONCE_MS);
        run.runSteady(300);
      }
    },
    TIMEOUT_MS,
  );

  it.each<BondMode>(['balance-xor', '802.3ad', 'balance-slb'])(
    '%s rebalances without losing, doubling or swapping frames',
    (mode) => {
      const random = randomFrom(seedFor(`rebalancing of ${mode}`));
      const hash = mode === 'balance-slb' ? 'vlan+srcmac' : 'layer3+4';
      const changes = { rebalanceMs: 1000, hash, seed: sharingSeed() } as const;
      const run =
        mode === 'balance-slb' ? bondAndBridge(mode, random, changes, [0, 0, 0]) : twoBonds(mode, random, changes, 0);
      run.heavy = true;
      for (let k = 0; k < 2; k++) run.runSteady(2600);
      expect(run.copies).toBe(0);
      expect(run.sides[0].machine!.row().moved).toBeGreaterThan(0);
    },
  );

  it('bond - discard duplicated frames', () => {
    const run = bondAndBridge('active-backup', randomFrom(1), {}, ONE_VLAN);
    const before = run.dropped(0, 'member-inactive');
    const [from] = run.hosts.filter(({ side }) => side === 1);
    const near = run.hosts.filter(({ side }) => side === 0);
    run.broadcast(from!, 10);
    run.run(100, 0);
    expect(run.copies).toBe(0);
    expect(run.heardBy(near, 10)).toBe(near.length * 10);
    expect(run.dropped(0, 'member-inactive') - before).toBe(3 * 10);
  });

  it('what the former active member sent does not come in by its successor', () => {
    const run = bondAndBridge('active-backup', randomFrom(1), {}, ONE_VLAN, DELAY_MAX_MS);
    const side = run.sides[0] as BondSide;
    for (const member of ['b', 'c', 'a']) {
      for (const from of run.hosts.filter((host) => host.side === 0)) run.broadcast(from, 1);
      run.run(DELAY_MAX_MS, 0);
      side.command(member, 'activate', run.now);
      run.run(DELAY_MAX_MS + 4 * STEP_MS, 0);
      expect(run.heardBy(run.hosts, 3)).toBe(3 * 5);
    }
    expect(run.copies).toBe(0);
    expect(run.dropped(0, 'reflected')).toBe(9);
    expect(side.rig.cell(BOND, PortCell.MOVED)).toBe(0);
  });

  it('broadcasts of balance-slb that a bridge reflects come in on no member', () => {
    const run = bondAndBridge('balance-slb', randomFrom(1), {}, ONE_VLAN);
    const before = ['member-inactive', 'reflected'].map((reason) => run.dropped(0, reason));
    const near = run.hosts.filter(({ side }) => side === 0);
    for (const from of near) run.broadcast(from, 10);
    run.run(100, 0);
    expect(
      run.heardBy(
        run.hosts.filter(({ side }) => side === 1),
        30,
      ),
    ).toBe(3 * 30);
    const [inactive, reflected] = ['member-inactive', 'reflected'].map(
      (reason, k) => run.dropped(0, reason) - before[k]!,
    );
    // Three come back of each: by the active member, unless it was sent by that, and by those that take nothing that goes to many.
    expect(inactive! + reflected!).toBe(3 * 30);
    expect(reflected).toBeGreaterThan(0);
    expect(run.sides[0].rig.cell(BOND, PortCell.MOVED)).toBe(0);
  });
});

describe('a partner that floods LACPDUs', () => {
  it.each(['its own, again and again', 'nonsense'])('%s: the other links and ports go on', (what) => {
    const random = randomFrom(seedFor('flood of LACPDUs'));
    const run = twoBonds('802.3ad', random);
    const pdu = run.lastSlow(1, 0);
    for (let k = 0; k < 1200; k++) {
      for (let n = 0; n < 50; n++) {
        const frame = Uint8Array.from(pdu);
        if (what === 'nonsense') for (let at = 14; at < frame.length; at++) frame[at] = random(256);
        run.sides[0].rig.port(LINK_PORTS[0]!).push(frame);
      }
      run.step(1);
    }
    expect(run.dropped(0, 'punt-limited')).toBeGreaterThan(50_000);
    expect(run.sides[0].machine!.steering.carrying).toEqual(expect.arrayContaining(['b', 'c', 'd']));
    run.runSteady(300);
  });
});

describe('a network full of ARP', () => {
  it.each(['from others for each other', 'from others for the target', 'from the target'])(
    '%s: members are alive as before',
    (what) => {
      const random = randomFrom(seedFor('ARP noise'));
      const run = bondAndBridge('active-backup', random, { monitor: MONITOR, sources: ['10.9.0.2'] }, ONE_VLAN);
      run.run(1000);
      for (let k = 0; k < 600; k++) {
        // 1,000 in a second: more than control takes of a member.
        for (let n = 0; n < 5; n++)
          run.ask(
            what.endsWith('for the target') ? TARGET : `10.9.1.${random(250)}`,
            what === 'from the target' ? TARGET : '10.9.0.77',
          );
        run.step(3);
      }
      const { failovers, members } = run.sides[0].machine!.row();
      expect([failovers, members[0]!.state]).toEqual([0, 'active']);
      // A target that itself fills the network hides what else those that stand by hear.
      if (what !== 'from the target') for (const { state } of members.slice(1)) expect(state).toBe('standby');
      else run.run(1000);
      // And a link that falls silent is found out all the same.
      run.wires[0]!.quiet.fill(true);
      for (let k = 0; k < (MONITOR_MS + AT_ONCE_MS) / STEP_MS; k++) {
        run.ask(TARGET, '10.9.0.77');
        run.step(0);
      }
      expect(run.sides[0].machine!.row().failovers).toBe(1);
      run.runSteady(300);
    },
  );
});

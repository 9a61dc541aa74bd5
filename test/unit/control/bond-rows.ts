/** Rows of bonds for tests of what people meet: an LACP bond with a partner and a member without, and an active-backup one. */
import type { BondSample } from '../../../control/metrics/source.ts';
import type { BondMemberRow, BondRow, LacpInfo } from '../../../control/switch.ts';

const COUNTS = { frames: 1_234_567, bytes: 1_500_000_000, segments: 2_000_000 };

export function memberRow(name: string, change: Partial<BondMemberRow> = {}): BondMemberRow {
  return {
    name,
    device: name,
    state: 'enabled',
    reason: null,
    link: true,
    speed: 1e10,
    buckets: 0,
    load: 0,
    failures: 0,
    receive: COUNTS,
    transmit: { frames: 10, bytes: 640, segments: 12 },
    dropped: {},
    lacp: null,
    ...change,
  };
}

export const ACTOR: LacpInfo = {
  systemPriority: 32_768,
  system: '02:00:00:00:00:01',
  key: 14,
  portPriority: 1,
  port: 1,
  state: ['activity', 'aggregation', 'synchronization', 'collecting', 'distributing'],
};
export const PARTNER: LacpInfo = {
  ...ACTOR,
  system: '0a:00:00:00:00:02',
  key: 7,
  port: 3,
  state: [...ACTOR.state, 'timeout'],
};

const MACHINES = { aggregator: 1, receive: 'CURRENT', mux: 'COLLECTING_DISTRIBUTING' } as const;
const NO_CHURN = { actorChurn: 'none', partnerChurn: 'none' } as const;
const LACPDUS = { received: 12, sent: 13, bad: 1, markers: 2 } as const;

export const LAG: BondRow = {
  bridge: 'br0',
  name: 'lag',
  mode: '802.3ad',
  hash: 'layer3+4',
  mac: '02:00:00:00:00:01',
  up: true,
  reason: null,
  active: null,
  lacp: 'negotiated',
  failovers: 0,
  moved: 9,
  members: [
    memberRow('eth1', {
      buckets: 256,
      load: 1_200_000_000,
      dropped: { 'egress-full': 4 },
      lacp: { actor: ACTOR, partner: PARTNER, ...MACHINES, ...NO_CHURN, ...LACPDUS },
    }),
    memberRow('eth2', {
      state: 'waiting',
      reason: 'it has no partner',
      failures: 1,
      lacp: {
        ...{ actor: { ...ACTOR, port: 2, state: [] }, partner: null, aggregator: null },
        ...{ receive: 'DEFAULTED', mux: 'DETACHED', actorChurn: 'churn', partnerChurn: 'churn' },
        ...{ received: 0, sent: 5, bad: 0, markers: 0 },
      },
    }),
  ],
};

export const BACKUP: BondRow = {
  bridge: 'br1',
  name: 'up',
  mode: 'active-backup',
  hash: null,
  mac: '02:00:00:00:00:02',
  up: true,
  reason: null,
  active: 'a',
  lacp: 'off',
  failovers: 3,
  moved: 0,
  members: [
    memberRow('a', { device: 'eth3', state: 'active' }),
    memberRow('b', {
      device: 'eth4',
      state: 'down',
      reason: 'device eth4 is not there',
      link: false,
      speed: null,
      failures: 2,
    }),
    memberRow('c', { device: null, state: 'disabled', reason: 'taken out by command' }),
  ],
};

/** As a scrape reads it. */
export function bondSample(row: BondRow): BondSample {
  const members = row.members.map((member) => ({
    ...member,
    carrying: member.state === 'active' || member.state === 'enabled',
    punted: 21,
    injected: 22,
  }));
  return { ...row, members };
}

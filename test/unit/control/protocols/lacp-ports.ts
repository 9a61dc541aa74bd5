/** Ports, ends and LACPDUs for tests of single machines. */
import {
  actorEnd,
  type LacpActor,
  type LacpPort,
  newPort,
  withState,
} from '../../../../control/protocols/lacp/port.ts';
import { receiveMachine } from '../../../../control/protocols/lacp/receive.ts';
import type { Lacpdu, LacpEnd, LacpState } from '../../../../dataplane/wire/lacp-value.ts';

export const ACTOR: LacpActor = {
  systemPriority: 100,
  system: '02:00:00:00:0a:00',
  activity: true,
  short: true,
  strict: true,
};

/** What a partner says that has found us and waits for nothing but our sync. */
export const PARTNER_STATE: LacpState = {
  activity: true,
  timeout: true,
  aggregation: true,
  synchronization: true,
  collecting: true,
  distributing: true,
  defaulted: false,
  expired: false,
};

export const PARTNER: LacpEnd = {
  systemPriority: 200,
  system: '02:00:00:00:0b:00',
  key: 20,
  portPriority: 2,
  port: 21,
  state: PARTNER_STATE,
};

/** Port 11 with key 10, its link down, at BEGIN. */
export function freshPort(actor: LacpActor = ACTOR, lacp = true): LacpPort {
  return newPort(11, 1, lacp, 10, actor);
}

/** The same with its link up since time 0: EXPIRED. */
export function upPort(actor: LacpActor = ACTOR): LacpPort {
  return receiveMachine({ ...freshPort(actor), up: true }, { type: 'time' }, actor, 0);
}

/** What the partner sends when it knows `port` as it is; `change` alters what it says of itself, `believed` what it says of us. */
export function pduFor(
  port: LacpPort,
  change: Partial<Omit<LacpEnd, 'state'>> & { readonly state?: Partial<LacpState> } = {},
  believed: Partial<Omit<LacpEnd, 'state'>> & { readonly state?: Partial<LacpState> } = {},
  actor: LacpActor = ACTOR,
): Lacpdu {
  const own = actorEnd(port, actor);
  return {
    version: 1,
    actor: { ...PARTNER, ...change, state: { ...PARTNER_STATE, ...change.state } },
    partner: { ...own, ...believed, state: { ...own.state, ...believed.state } },
    maxDelay: 0,
  };
}

/** A port that knows its partner since `now` and is selected. */
export function currentPort(now = 0, actor: LacpActor = ACTOR): LacpPort {
  const port = upPort(actor);
  const heard = receiveMachine(port, { type: 'pdu', pdu: pduFor(port, {}, {}, actor) }, actor, now);
  return { ...heard, selected: 'selected', aggregator: 11, ntt: false };
}

/** A selected port whose partner is (or isn't) in sync and collecting. */
export function muxPort(change: Partial<LacpPort>, partner: Partial<LacpState> = {}): LacpPort {
  const port = { ...currentPort(), ...change };
  const attached = port.mux !== 'DETACHED' && port.mux !== 'WAITING';
  const told = withState(port, {
    synchronization: attached,
    collecting: port.mux === 'COLLECTING' || port.mux === 'DISTRIBUTING',
    distributing: port.mux === 'DISTRIBUTING',
  });
  return { ...told, partner: { ...told.partner, state: { ...told.partner.state, ...partner } } };
}

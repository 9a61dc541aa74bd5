/**
 * What LACP knows of a port and of its own system (IEEE 802.1AX-2014, 6.4.4 to 6.4.8). Plain readonly data on the main thread: each machine
 * takes a port and returns a port, the same object when nothing changed. It holds no timers, only the times at which they end.
 */
import type { LacpEnd, LacpState } from '../../../dataplane/wire/lacp-value.ts';

/** Times of 6.4.4, in ms. */
export const FAST_PERIODIC_MS = 1_000;
export const SLOW_PERIODIC_MS = 30_000;
export const SHORT_TIMEOUT_MS = 3 * FAST_PERIODIC_MS;
export const LONG_TIMEOUT_MS = 3 * SLOW_PERIODIC_MS;
export const CHURN_DETECTION_MS = 60_000;
export const AGGREGATE_WAIT_MS = 2_000;

/** The system of nobody. */
export const NO_SYSTEM = '00:00:00:00:00:00';
export const NEVER = Number.POSITIVE_INFINITY;

export type ReceiveState = 'INITIALIZE' | 'PORT_DISABLED' | 'EXPIRED' | 'LACP_DISABLED' | 'DEFAULTED' | 'CURRENT';
export type PeriodicState = 'NO_PERIODIC' | 'FAST_PERIODIC' | 'SLOW_PERIODIC';
/** With independent control of the two directions (figure 6-21). */
export type MuxState = 'DETACHED' | 'WAITING' | 'ATTACHED' | 'COLLECTING' | 'DISTRIBUTING';
export type ChurnState = 'none' | 'monitor' | 'churn';
/** Selected of 6.4.8: `standby` belongs to an aggregator that is not the one in use. */
export type Selected = 'unselected' | 'selected' | 'standby';

/** Our own side, as its LACPDUs tell it. */
export interface LacpActor {
  readonly systemPriority: number;
  readonly system: string;
  readonly activity: boolean;
  /** The partner shall send every second. */
  readonly short: boolean;
  /** No port carries without a partner in sync. */
  readonly strict: boolean;
}

export interface LacpPort {
  readonly number: number;
  readonly priority: number;
  /** LACP_Enabled: false for a link that can't aggregate. */
  readonly lacp: boolean;
  /** port_enabled. */
  readonly up: boolean;
  /** Shall not carry, though its link works: STANDBY, and its partner is told. */
  readonly held: boolean;
  readonly key: number;
  /** Actor_Oper_Port_State, Partner_Oper. */
  readonly state: LacpState;
  readonly partner: LacpEnd;
  /** NTT: an LACPDU is wanted. */
  readonly ntt: boolean;

  readonly receive: ReceiveState;
  readonly currentUntil: number;
  readonly periodic: PeriodicState;
  readonly periodicUntil: number;
  readonly selected: Selected;
  /** The number of the port that founded the aggregator; null: none selected. */
  readonly aggregator: number | null;
  readonly mux: MuxState;
  readonly waitUntil: number;
  /** When the last LACPDUs were sent, at most three. */
  readonly sentAt: readonly number[];
  readonly actorChurn: ChurnState;
  readonly actorChurnUntil: number;
  readonly partnerChurn: ChurnState;
  readonly partnerChurnUntil: number;
}

const NO_STATE: LacpState = {
  activity: false,
  timeout: false,
  aggregation: false,
  synchronization: false,
  collecting: false,
  distributing: false,
  defaulted: false,
  expired: false,
};

/**
 * Partner_Admin: whom a port assumes without LACPDUs. An individual link, in sync unless that is asked for strictly, that wants LACPDUs as
 * often as we do: so a passive one is found within our own period.
 */
export function defaultPartner({ strict, short }: LacpActor): LacpEnd {
  const carries = !strict;
  return {
    systemPriority: 0,
    system: NO_SYSTEM,
    key: 0,
    portPriority: 0,
    port: 0,
    state: { ...NO_STATE, timeout: short, synchronization: carries, collecting: carries, distributing: carries },
  };
}

/** A port at BEGIN, its link down. */
export function newPort(number: number, priority: number, lacp: boolean, key: number, actor: LacpActor): LacpPort {
  return {
    number,
    priority,
    lacp,
    up: false,
    held: false,
    key,
    state: { ...NO_STATE, activity: actor.activity, timeout: actor.short, aggregation: true, defaulted: true },
    partner: defaultPartner(actor),
    ntt: false,
    receive: 'INITIALIZE',
    currentUntil: NEVER,
    periodic: 'NO_PERIODIC',
    periodicUntil: NEVER,
    selected: 'unselected',
    aggregator: null,
    mux: 'DETACHED',
    waitUntil: NEVER,
    sentAt: [],
    actorChurn: 'none',
    actorChurnUntil: NEVER,
    partnerChurn: 'none',
    partnerChurnUntil: NEVER,
  };
}

/** The port as its LACPDUs tell it. */
export function actorEnd({ key, priority, number, state }: LacpPort, { systemPriority, system }: LacpActor): LacpEnd {
  return { systemPriority, system, key, portPriority: priority, port: number, state };
}

export function withState(port: LacpPort, change: Partial<LacpState>): LacpPort {
  return { ...port, state: { ...port.state, ...change } };
}

export function withPartnerState(port: LacpPort, change: Partial<LacpState>): LacpPort {
  return { ...port, partner: { ...port.partner, state: { ...port.partner.state, ...change } } };
}

/** Selected becomes UNSELECTED: the mux machine detaches the port before another aggregator is chosen. */
export function unselect(port: LacpPort): LacpPort {
  return { ...port, selected: 'unselected', aggregator: null };
}

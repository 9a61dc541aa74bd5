/**
 * The receive machine (IEEE 802.1AX-2014, 6.4.12, figure 6-18) and its functions (6.4.9). Called by system.ts for each LACPDU, change of a
 * link and end of a timer. Pure.
 */
import type { Lacpdu, LacpEnd } from '../../../dataplane/wire/lacp-value.ts';
import {
  actorEnd,
  defaultPartner,
  type LacpActor,
  type LacpPort,
  LONG_TIMEOUT_MS,
  NEVER,
  SHORT_TIMEOUT_MS,
  unselect,
  withPartnerState,
  withState,
} from './port.ts';

/** `moved`: the partner's port was heard on another port of ours. `time`: a link changed, or a timer may have ended. */
export type ReceiveEvent =
  | { readonly type: 'pdu'; readonly pdu: Lacpdu }
  | { readonly type: 'moved' }
  | { readonly type: 'time' };

export function receiveMachine(port: LacpPort, event: ReceiveEvent, actor: LacpActor, now: number): LacpPort {
  if (port.receive === 'INITIALIZE') return receiveMachine(disable(initialize(port, actor)), event, actor, now);
  if (!port.up) {
    if (event.type === 'moved') return disable(initialize(port, actor));
    return port.receive === 'PORT_DISABLED' ? port : disable(port);
  }
  if (port.receive === 'PORT_DISABLED') return receiveMachine(enable(port, actor, now), event, actor, now);
  if (!port.lacp) return port.receive === 'LACP_DISABLED' ? port : withoutLacp(port, actor);
  if (port.receive === 'LACP_DISABLED') return receiveMachine(disable(port), event, actor, now);
  if (event.type === 'pdu') return current(port, event.pdu, actor, now);
  if (now < port.currentUntil) return port;
  if (port.receive === 'CURRENT') return expire(port, now);
  return port.receive === 'EXPIRED' ? assumeDefault(port, actor) : port;
}

/** Two ends with the same identity and key; `aggregation` is a part of the key's meaning. */
export function sameEnd(a: LacpEnd, b: LacpEnd): boolean {
  return (
    a.port === b.port &&
    a.portPriority === b.portPriority &&
    a.system === b.system &&
    a.systemPriority === b.systemPriority &&
    a.key === b.key &&
    a.state.aggregation === b.state.aggregation
  );
}

/** recordDefault. */
function recordDefault(port: LacpPort, actor: LacpActor): LacpPort {
  return withState({ ...port, partner: defaultPartner(actor) }, { defaulted: true });
}

function initialize(port: LacpPort, actor: LacpActor): LacpPort {
  return withState(recordDefault(unselect(port), actor), { expired: false });
}

function disable(port: LacpPort): LacpPort {
  return withPartnerState({ ...port, receive: 'PORT_DISABLED', currentUntil: NEVER }, { synchronization: false });
}

function enable(port: LacpPort, actor: LacpActor, now: number): LacpPort {
  return port.lacp ? expire(port, now) : withoutLacp(port, actor);
}

function withoutLacp(port: LacpPort, actor: LacpActor): LacpPort {
  const fresh = withPartnerState(initialize(port, actor), { aggregation: false });
  return { ...fresh, receive: 'LACP_DISABLED', currentUntil: NEVER };
}

function expire(port: LacpPort, now: number): LacpPort {
  const silent = withPartnerState(port, { synchronization: false, timeout: true });
  return withState({ ...silent, receive: 'EXPIRED', currentUntil: now + SHORT_TIMEOUT_MS }, { expired: true });
}

/** DEFAULTED, with update_Default_Selected. */
function assumeDefault(port: LacpPort, actor: LacpActor): LacpPort {
  const kept = sameEnd(port.partner, defaultPartner(actor)) ? port : unselect(port);
  const assumed = recordDefault({ ...kept, receive: 'DEFAULTED', currentUntil: NEVER }, actor);
  return withState(assumed, { expired: false });
}

/** CURRENT: update_Selected, update_NTT, recordPDU. */
function current(port: LacpPort, pdu: Lacpdu, actor: LacpActor, now: number): LacpPort {
  const kept = sameEnd(pdu.actor, port.partner) ? port : unselect(port);
  const ntt = port.ntt || isOutdated(pdu.partner, actorEnd(port, actor));
  const partner = { ...pdu.actor, state: { ...pdu.actor.state, synchronization: isInSync(port, pdu, actor) } };
  const timeoutMs = port.state.timeout ? SHORT_TIMEOUT_MS : LONG_TIMEOUT_MS;
  const recorded: LacpPort = { ...kept, ntt, partner, receive: 'CURRENT', currentUntil: now + timeoutMs };
  return withState(recorded, { defaulted: false, expired: false });
}

/** update_NTT: what the partner believes of us isn't what we are. */
function isOutdated(believed: LacpEnd, own: LacpEnd): boolean {
  return (
    !sameEnd(believed, own) ||
    believed.state.activity !== own.state.activity ||
    believed.state.timeout !== own.state.timeout ||
    believed.state.synchronization !== own.state.synchronization
  );
}

/** recordPDU's rule for Partner_Oper_Port_State.Synchronization: it says so, knows us (or is an individual link), and LACP keeps the link. */
function isInSync(port: LacpPort, { actor: sender, partner: believed }: Lacpdu, actor: LacpActor): boolean {
  const maintained = sender.state.activity || (port.state.activity && believed.state.activity);
  const matched = sameEnd(believed, actorEnd(port, actor)) || !sender.state.aggregation;
  return sender.state.synchronization && maintained && matched;
}

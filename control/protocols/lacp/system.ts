/**
 * LACP of one bond: its ports, their machines, and the aggregator in use (IEEE 802.1AX-2014, clause 6.4). Called by the bond machine on the
 * main thread with frames, links and the time; it sends through a function, has no timers of its own and never throws on what was received.
 */
import { type Lacpdu, type LacpEnd, lacpStateNames } from '../../../dataplane/wire/lacp-value.ts';
import { formatMac, parseMac } from '../../../dataplane/wire/text.ts';
import type { LacpModel } from '../../model/bond.ts';
import type { LacpInfo, LacpMemberRow } from '../../switch.ts';
import { chooseActive } from './active.ts';
import { churnMachine } from './churn.ts';
import { readSlow } from './inbound.ts';
import { keyOf } from './key.ts';
import { admitResponse, markerResponse } from './marker.ts';
import { muxMachine } from './mux.ts';
import { periodicMachine } from './periodic.ts';
import {
  actorEnd,
  defaultPartner,
  type LacpActor,
  type LacpPort,
  NEVER,
  NO_SYSTEM,
  newPort,
  unselect,
  withState,
} from './port.ts';
import { type ReceiveEvent, receiveMachine } from './receive.ts';
import { isReady, markSelected, selectAggregators } from './selection.ts';
import { farewellFrame, lacpduFrame, transmitAt, transmitMachine } from './transmit.ts';

export interface LacpPortSettings {
  /** 1–65535, unique in the system. */
  readonly number: number;
  /** Less is better. */
  readonly priority: number;
  /** LACP_Enabled; false for a link that can't aggregate, which carries alone or not at all. Default true. */
  readonly lacp?: boolean;
}

/** What is counted and known of a port beside its machines. */
interface Extra {
  mac: string;
  speed: number | null;
  received: number;
  sent: number;
  bad: number;
  markers: number;
  answeredAt: readonly number[];
}

export type LacpSend = (id: string, frame: Uint8Array) => void;

/** Selection, choice and mux rest after three rounds: out of one aggregator, into another, and one that changes nothing. */
const ROUNDS_MAX = 8;

export class LacpSystem {
  /** May be called again by what `send` does: everything is settled before. */
  readonly send: LacpSend;
  #settings: LacpModel;
  #minLinks: number;
  #actor: LacpActor;
  /** Our system where the settings name none: the first address that a port had. */
  #found: string | null = null;
  #ports: ReadonlyMap<string, LacpPort> = new Map();
  readonly #extras = new Map<string, Extra>();
  #active: number | null = null;
  #wakeAt = NEVER;

  /** `now` and all later times: ms, never going back. */
  constructor(settings: LacpModel, minLinks: number, now: number, send: LacpSend) {
    this.send = send;
    this.#settings = settings;
    this.#minLinks = minLinks;
    this.#actor = actorOf(settings, null);
    this.#settle(now);
  }

  /** When it wants the next tick; Infinity: never. */
  get wakeAt(): number {
    return this.#wakeAt;
  }

  /** The number of the aggregator in use; null: none. */
  get active(): number | null {
    return this.#active;
  }

  /** Does any port of the aggregator in use have a partner? */
  get negotiated(): boolean {
    for (const { aggregator, up, state } of this.#ports.values()) {
      if (aggregator !== null && aggregator === this.#active && up && !state.defaulted) return true;
    }
    return false;
  }

  /** Ports whose key or system changed leave their aggregator; whatever else changed is told to the partner. */
  configure(settings: LacpModel, minLinks: number, now: number): void {
    const before = this.#actor;
    this.#settings = settings;
    this.#minLinks = minLinks;
    this.#actor = actorOf(settings, this.#found);
    const { system, systemPriority, activity, short } = this.#actor;
    const isOtherSystem = system !== before.system || systemPriority !== before.systemPriority;
    for (const [id, port] of this.#ports) {
      let next = this.#withKey(id, isOtherSystem ? { ...unselect(port), ntt: true } : port);
      if (port.state.activity !== activity || port.state.timeout !== short)
        next = withState({ ...next, ntt: true }, { activity, timeout: short });
      if (port.receive === 'DEFAULTED' || port.receive === 'LACP_DISABLED')
        next = { ...next, partner: defaultPartner(this.#actor) };
      this.#put(id, next);
    }
    this.#settle(now);
  }

  /** Also for a port that is there and gets another number or priority. RangeError when another port has the number. */
  addPort(id: string, { number, priority, lacp = true }: LacpPortSettings, now: number): void {
    for (const [other, port] of this.#ports) {
      if (other !== id && port.number === number)
        throw new RangeError(`LACP port ${number} is ${other} already, so not ${id}`);
    }
    const known = this.#ports.get(id);
    if (known === undefined) {
      this.#extras.set(id, { mac: NO_SYSTEM, speed: null, received: 0, sent: 0, bad: 0, markers: 0, answeredAt: [] });
      this.#put(id, newPort(number, priority, lacp, this.#keyFor(null), this.#actor));
    } else if (known.number !== number || known.priority !== priority || known.lacp !== lacp) {
      this.#put(id, { ...unselect(known), number, priority, lacp, ntt: true });
    }
    this.#settle(now);
  }

  /** Its partner is told, in a last LACPDU, that it no longer carries. */
  removePort(id: string, now: number): void {
    const port = this.#ports.get(id);
    const extra = this.#extras.get(id);
    if (port === undefined || extra === undefined) return;
    const farewell = farewellFrame(port, this.#actor, extra.mac);
    const ports = new Map(this.#ports);
    ports.delete(id);
    this.#ports = ports;
    this.#extras.delete(id);
    this.#settle(now);
    if (farewell !== null) this.send(id, farewell);
  }

  /** A held port carries nothing though its link works, as one that is taken out by command: its partner is told at once and stops sending. */
  hold(id: string, held: boolean, now: number): void {
    const port = this.#ports.get(id);
    const extra = this.#extras.get(id);
    if (port === undefined || extra === undefined || port.held === held) return;
    this.#put(id, { ...port, held });
    this.#settle(now);
    // Three LACPDUs a second are the limit; the link may be gone before this one's turn comes, and then nobody tells.
    const farewell = held && this.#ports.get(id)?.ntt === true ? farewellFrame(port, this.#actor, extra.mac) : null;
    if (farewell !== null) this.send(id, farewell);
  }

  /** Source address of its LACPDUs, link, speed in bits/s. A link that comes up is told to the partner at once, before its first period ends. */
  link(id: string, up: boolean, speed: number | null, mac: string, now: number): void {
    const extra = this.#extras.get(id);
    if (extra === undefined) return;
    extra.mac = mac;
    extra.speed = speed;
    if (this.#found === null && mac !== NO_SYSTEM) {
      this.#found = mac;
      if (this.#settings.systemMac === null) this.configure(this.#settings, this.#minLinks, now);
    }
    const known = this.#ports.get(id)!;
    const changed = known.up === up ? known : { ...known, up, ntt: up };
    this.#put(id, this.#withKey(id, changed));
    this.#settle(now);
  }

  /** A whole Ethernet frame, untagged, of EtherType 0x8809. What makes no sense is counted. */
  receive(id: string, frame: Uint8Array, now: number): void {
    const port = this.#ports.get(id);
    const extra = this.#extras.get(id);
    if (port === undefined || extra === undefined) return;
    const inbound = readSlow(frame);
    if (inbound.kind === 'bad') extra.bad++;
    else if (inbound.kind === 'lacpdu') this.#receiveLacpdu(id, port, extra, inbound.pdu, now);
    else if (inbound.kind === 'marker') this.#answerMarker(id, port, extra, frame, now);
  }

  tick(now: number): void {
    this.#settle(now);
  }

  /** May it collect; may it collect and distribute. */
  collecting(id: string): boolean {
    const port = this.#ports.get(id);
    return port?.up === true && port.state.collecting;
  }

  distributing(id: string): boolean {
    const port = this.#ports.get(id);
    return port?.up === true && port.state.distributing;
  }

  /** RangeError for a port that isn't there. */
  row(id: string): LacpMemberRow {
    const port = this.#ports.get(id);
    const extra = this.#extras.get(id);
    if (port === undefined || extra === undefined) throw new RangeError(`${id} is no port of this LACP system`);
    const { received, sent, bad, markers } = extra;
    return {
      actor: infoOf(actorEnd(port, this.#actor)),
      partner: port.state.defaulted ? null : infoOf(port.partner),
      aggregator: port.aggregator,
      receive: port.receive,
      mux: port.mux,
      actorChurn: port.actorChurn,
      partnerChurn: port.partnerChurn,
      received,
      sent,
      bad,
      markers,
    };
  }

  #receiveLacpdu(id: string, port: LacpPort, extra: Extra, pdu: Lacpdu, now: number): void {
    extra.received++;
    if (!port.up) return;
    this.#forgetMoved(id, pdu.actor, now);
    this.#put(id, receiveMachine(port, { type: 'pdu', pdu }, this.#actor, now));
    this.#settle(now);
  }

  /** port_moved of 6.4.7: what is heard here is no longer the partner of a port that is down. */
  #forgetMoved(id: string, { system, port: number }: LacpEnd, now: number): void {
    for (const [other, { receive, partner, state }] of this.#ports) {
      if (other === id || receive !== 'PORT_DISABLED' || state.defaulted) continue;
      if (partner.system === system && partner.port === number) this.#run(other, { type: 'moved' }, now);
    }
  }

  #answerMarker(id: string, port: LacpPort, extra: Extra, request: Uint8Array, now: number): void {
    if (!port.up) return;
    const answeredAt = admitResponse(extra.answeredAt, now);
    if (answeredAt === null) {
      extra.bad++;
      return;
    }
    extra.answeredAt = answeredAt;
    extra.markers++;
    this.send(id, markerResponse(request, extra.mac));
  }

  #run(id: string, event: ReceiveEvent, now: number): void {
    this.#put(id, receiveMachine(this.#ports.get(id)!, event, this.#actor, now));
  }

  #put(id: string, port: LacpPort): void {
    if (this.#ports.get(id) === port) return;
    this.#ports = new Map(this.#ports).set(id, port);
  }

  #keyFor(speed: number | null): number {
    return this.#settings.key ?? keyOf(speed);
  }

  /** A port that is down has no speed; it keeps the key that it had, and with it its aggregator. */
  #withKey(id: string, port: LacpPort): LacpPort {
    const speed = this.#extras.get(id)?.speed ?? null;
    if (!port.up && speed === null && this.#settings.key === null) return port;
    const key = this.#keyFor(speed);
    return key === port.key ? port : { ...unselect(port), key, ntt: true };
  }

  /** Runs every machine until all rest, then sends. */
  #settle(now: number): void {
    for (const id of this.#ports.keys()) {
      this.#run(id, { type: 'time' }, now);
      this.#put(id, periodicMachine(this.#ports.get(id)!, now));
    }
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const before = this.#ports;
      this.#join(now);
      if (before === this.#ports) break;
    }
    const leaving = this.#transmit(now);
    this.#wakeAt = this.#nextTime(now);
    for (const [id, frame] of leaving) this.send(id, frame);
  }

  /** One round of what depends on all ports: aggregators, the one in use, and the mux machines. */
  #join(now: number): void {
    const choice = { select: this.#settings.select, minLinks: this.#minLinks };
    const speedOf = (id: string): number | null => this.#extras.get(id)?.speed ?? null;
    this.#ports = selectAggregators(this.#ports, this.#actor);
    this.#active = chooseActive(this.#ports, speedOf, this.#active, this.#actor, choice, now);
    this.#ports = markSelected(this.#ports, this.#active);
    const ready = isReady(this.#ports, this.#active, now);
    for (const [id, port] of this.#ports) this.#put(id, muxMachine(port, ready, now));
  }

  #transmit(now: number): [string, Uint8Array][] {
    const leaving: [string, Uint8Array][] = [];
    for (const [id, before] of this.#ports) {
      const { port, send } = transmitMachine(churnMachine(before, now), now);
      this.#put(id, port);
      const extra = this.#extras.get(id)!;
      if (!send) continue;
      extra.sent++;
      leaving.push([id, lacpduFrame(port, this.#actor, extra.mac)]);
    }
    return leaving;
  }

  #nextTime(now: number): number {
    let next = NEVER;
    for (const port of this.#ports.values()) {
      next = Math.min(next, port.currentUntil, port.periodicUntil, port.actorChurnUntil, port.partnerChurnUntil);
      if (port.mux === 'WAITING' && port.waitUntil > now) next = Math.min(next, port.waitUntil);
      if (port.ntt) next = Math.min(next, transmitAt(port));
    }
    return next;
  }
}

function actorOf({ systemPriority, systemMac, mode, rate, strict }: LacpModel, found: string | null): LacpActor {
  const system = formatMac(parseMac(systemMac ?? found ?? NO_SYSTEM), 0);
  return { systemPriority, system, activity: mode === 'active', short: rate === 'fast', strict };
}

function infoOf({ state, ...identity }: LacpEnd): LacpInfo {
  return { ...identity, state: lacpStateNames(state) };
}

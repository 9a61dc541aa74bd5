/**
 * Asks targets beyond the links of a bond whether they are reached, by ARP and neighbour solicitations, and says which members are alive.
 * What the options mean is what Linux documents for arp_interval, arp_validate, arp_all_targets and arp_missed_max. Called by the bond
 * machine, on the main thread; time is passed in, in monotonic milliseconds. Never reads a clock, never throws over a frame.
 */
import {
  formatIpv4Address,
  formatIpv6Address,
  formatMac,
  parseIpv4Address,
  parseIpv6Address,
  parseMac,
} from '../../dataplane/wire/text.ts';
import type { MonitorModel } from '../model/bond.ts';
import { arpRequest, type FrameTag, NO_IPV4, NO_IPV6, neighbourSolicitation } from './announcements.ts';
import { readSaid, type Said } from './target-frames.ts';

/** How often per interval frames are counted, where any frame is life. */
const POLLS_COUNT = 4;
/** An answer may be late by half an interval, also where a single missed one is too many. */
const INTERVALS_MIN = 1.5;
const NEVER = Number.NEGATIVE_INFINITY;

export interface MonitorOptions {
  /** How probes are tagged, and what answers must be; default: untagged when `settings.vlan` is 0, else tagged with it. */
  readonly tag?: FrameTag;
  /** Modes in which all members carry: those that don't at the moment ask as well, and are judged like those that do. */
  readonly everyone?: boolean;
}

interface Member {
  readonly name: string;
  readonly mac: string;
  carries: boolean;
  alive: boolean;
  /** Whether it showed life since it carries. */
  proven: boolean;
  /** When any frame came. */
  seen: number;
  /** When each target was heard. */
  readonly heard: number[];
  /** Frames counted at the last look; −1: none yet. */
  received: number;
}

interface Target {
  readonly address: string;
  readonly probe: (mac: string) => Uint8Array;
}

export class TargetMonitor {
  readonly send: (member: string, frame: Uint8Array) => void;
  readonly #settings: MonitorModel;
  readonly #mac: string;
  readonly #targets: readonly Target[];
  readonly #vid: number;
  readonly #everyone: boolean;
  readonly #members = new Map<string, Member>();
  #probeAt: number;
  #pollAt: number;
  #polledAt: number;
  /** Whose turn it is to ask while nobody carries. */
  #turn = -1;

  /** `mac` is the bond's; `sources` its own addresses. RangeError when an address isn't one. */
  constructor(
    settings: MonitorModel,
    mac: string,
    sources: readonly string[],
    now: number,
    send: (member: string, frame: Uint8Array) => void,
    options: MonitorOptions = {},
  ) {
    this.send = send;
    this.#settings = settings;
    this.#mac = formatMac(parseMac(mac), 0);
    const tag = options.tag === undefined ? (settings.vlan === 0 ? null : { vid: settings.vlan }) : options.tag;
    this.#vid = tag?.vid ?? 0;
    this.#everyone = options.everyone ?? false;
    this.#targets = settings.targets.map((target) => targetOf(target, sources, tag));
    this.#probeAt = now;
    this.#pollAt = now;
    this.#polledAt = now;
  }

  /**
   * It is alive until it was silent for long enough, unless it is known to be dead. `mac` is what it asks as: the bond's, but where members carry at once over links of
   * one network (slb, tlb, alb) each needs its own, or the answers to all come by one.
   */
  addMember(name: string, now: number, mac: string = this.#mac, alive = true): void {
    if (this.#members.has(name)) return;
    const normal = formatMac(parseMac(mac), 0);
    const since = alive ? now : NEVER;
    const heard = this.#targets.map(() => since);
    const carries = this.#everyone;
    this.#members.set(name, { name, mac: normal, carries, alive, proven: false, seen: since, heard, received: -1 });
    if (carries) this.#probeAt = Math.min(this.#probeAt, now);
  }

  removeMember(name: string): void {
    this.#members.delete(name);
  }

  /** Which members carry now. One that wasn't among them asks at once and has as long to answer as a new one. */
  carrying(names: readonly string[], now: number): void {
    if (this.#everyone) return;
    for (const member of this.#members.values()) {
      const carries = names.includes(member.name);
      if (carries === member.carries) continue;
      member.carries = carries;
      member.proven = false;
      if (member.alive) live(member, now);
      if (carries) this.#probeAt = Math.min(this.#probeAt, now);
    }
  }

  /** A punted frame, whole. */
  receive(name: string, frame: Uint8Array, now: number): void {
    const member = this.#members.get(name);
    if (member === undefined) return;
    this.#see(member, now);
    const said = readSaid(frame);
    if (said !== null && said.vid === this.#vid) {
      for (const [k, { address }] of this.#targets.entries()) {
        const counts = member.carries ? answers(said, address, member.mac) : this.#concerns(said, address);
        if (!counts) continue;
        member.heard[k] = now;
        member.proven ||= this.#isValidated(member);
      }
    }
    this.#judge(member, now);
  }

  /** `received` tells how many frames a member received so far. */
  tick(now: number, received: (member: string) => number): void {
    this.#forgive(now);
    for (const member of this.#members.values()) {
      const count = received(member.name);
      // When within the time since the last look they came isn't known: not later than this.
      if (member.received >= 0 && count > member.received) this.#see(member, this.#polledAt);
      member.received = count;
      this.#judge(member, now);
    }
    this.#polledAt = now;
    this.#pollAt = now + this.#settings.intervalMs / (this.#settings.validate === 'all' ? 1 : POLLS_COUNT);
    if (now < this.#probeAt) return;
    this.#probeAt += this.#settings.intervalMs;
    if (this.#probeAt <= now) this.#probeAt = now + this.#settings.intervalMs;
    for (const { name, mac } of this.#asking()) for (const { probe } of this.#targets) this.send(name, probe(mac));
  }

  /** Infinity without members. */
  get wakeAt(): number {
    if (this.#members.size === 0) return Number.POSITIVE_INFINITY;
    let at = Math.min(this.#probeAt, this.#pollAt);
    for (const member of this.#members.values()) if (member.alive) at = Math.min(at, this.#deadline(member));
    return at;
  }

  /** False for one that isn't known. */
  alive(name: string): boolean {
    return this.#members.get(name)?.alive ?? false;
  }

  /** Those that carry; while nobody does one after the other, so that the network doesn't see one address at several links at once. */
  #asking(): readonly Member[] {
    const members = [...this.#members.values()];
    const carrying = members.filter(({ carries }) => carries);
    if (carrying.length > 0 || members.length === 0) return carrying;
    this.#turn = (this.#turn + 1) % members.length;
    return [members[this.#turn]!];
  }

  /** Time in which nobody asked, since the process slept, is no silence. */
  #forgive(now: number): void {
    const lateMs = now - this.wakeAt;
    if (!(lateMs > this.#settings.intervalMs / POLLS_COUNT)) return;
    this.#polledAt = Math.min(now, this.#polledAt + lateMs);
    for (const member of this.#members.values()) {
      member.seen = Math.min(now, member.seen + lateMs);
      for (const [k, at] of member.heard.entries()) member.heard[k] = Math.min(now, at + lateMs);
    }
  }

  #see(member: Member, at: number): void {
    member.seen = Math.max(member.seen, at);
    member.proven ||= !this.#isValidated(member);
  }

  #isValidated({ carries }: Member): boolean {
    const { validate } = this.#settings;
    return validate === 'all' || validate === (carries ? 'active' : 'backup');
  }

  /**
   * Life of a member that doesn't carry: a target speaks, or one that carries is heard asking for it. The latter only while that one is
   * answered: in a network that lost its targets members would otherwise take turns in being alive.
   */
  #concerns(said: Said, address: string): boolean {
    if (said.sender === address) return true;
    if (!said.asks || said.target !== address) return false;
    for (const { mac, carries, proven } of this.#members.values())
      if (carries && proven && mac === said.from) return true;
    return false;
  }

  #deadline(member: Member): number {
    const { require, missedMax, intervalMs } = this.#settings;
    const heard = require === 'all' ? Math.min(...member.heard) : Math.max(...member.heard);
    const last = this.#isValidated(member) ? heard : member.seen;
    // Who doesn't carry has one interval more, so that it isn't lost together with the one that it stands by for.
    return last + Math.max(missedMax + (member.carries ? 0 : 1), INTERVALS_MIN) * intervalMs;
  }

  #judge(member: Member, now: number): void {
    const alive = now < this.#deadline(member);
    // What it showed before counts no more, also when its part changes.
    if (member.alive && !alive) live(member, NEVER);
    member.alive = alive;
  }
}

function live(member: Member, at: number): void {
  member.seen = at;
  member.heard.fill(at);
}

/** ARP reply or advertisement of the target, to us or to all. */
function answers(said: Said, address: string, mac: string): boolean {
  return !said.asks && said.sender === address && (said.to === mac || said.to.startsWith('33:33:'));
}

function targetOf(text: string, sources: readonly string[], tag: FrameTag): Target {
  const isV6 = text.includes(':');
  const parse = isV6 ? parseIpv6Address : parseIpv4Address;
  const bytes = parse(text);
  const own = sources.filter((source) => source.includes(':') === isV6);
  // Of several the one that shares the longest prefix with the target is most likely of its network.
  const shared = (source: string): number => sharedBits(parse(source), bytes);
  const source = own.reduce<string | null>((best, one) => (best && shared(best) >= shared(one) ? best : one), null);
  if (!isV6) {
    const address = formatIpv4Address(bytes, 0);
    return { address, probe: (mac) => arpRequest(mac, source ?? NO_IPV4, address, tag) };
  }
  const address = formatIpv6Address(bytes, 0);
  return { address, probe: (mac) => neighbourSolicitation(mac, source ?? NO_IPV6, address, tag) };
}

function sharedBits(one: Uint8Array, other: Uint8Array): number {
  const at = one.findIndex((byte, k) => byte !== other[k]);
  return at < 0 ? one.length * 8 : at * 8 + Math.clz32(one[at]! ^ other[at]!) - 24;
}

/**
 * The two watchers of a bond, LACP and the target monitor: made when the settings ask for them, told of members and links, asked what they
 * think. Held by bond.ts alone; decides nothing.
 */
import { ETHERNET_BYTES, ETHERTYPE_SLOW_PROTOCOLS, etherType } from '../../dataplane/wire/ethernet.ts';
import type { BondSettings } from '../model/bond.ts';
import type { BondHost } from './host.ts';
import type { BondMember } from './member.ts';
import type { BondParts, LacpMachine, LifeMonitor } from './parts.ts';
import { isSameList, wayOf } from './steering.ts';

export class Watch {
  readonly #parts: BondParts;
  readonly #host: BondHost;
  #lacp: LacpMachine | null = null;
  #mayFallBack = false;
  #monitor: LifeMonitor | null = null;
  /** What the monitor was made of: with anything else a new one is. And whom it asked: who did not answer there is dead to a new one too. */
  #asked = '';
  #targets = '';
  #dead: ReadonlySet<string> = new Set();
  /** What LACP was told of each port's settings and link, and as what address the monitor asks by each member. */
  readonly #ports = new Map<string, string>();
  readonly #links = new Map<string, string>();
  readonly #askers = new Map<string, string>();
  /** Who carries, as the monitor was told; null: it has to be told anew. */
  #carrying: readonly string[] | null = null;

  constructor(parts: BondParts, host: BondHost) {
    this.#parts = parts;
    this.#host = host;
  }

  get lacp(): LacpMachine | null {
    return this.#lacp;
  }

  get wakeAt(): number {
    return Math.min(this.#lacp?.wakeAt ?? Number.POSITIVE_INFINITY, this.#monitor?.wakeAt ?? Number.POSITIVE_INFINITY);
  }

  /**
   * Shall an 802.3ad bond be an active-backup one? From when there is no partner until the first member distributes: while the two agree,
   * a partner that forwards for those without LACP is served as before.
   */
  fallsBack(doesNow: boolean): boolean {
    const lacp = this.#lacp;
    if (lacp === null || !this.#mayFallBack) return false;
    if (!lacp.negotiated) return true;
    return doesNow && ![...this.#ports.keys()].some((name) => lacp.distributing(name));
  }

  configure(settings: BondSettings, members: readonly BondMember[], now: number): void {
    this.#configureLacp(settings, members, now);
    this.#configureMonitor(settings, now);
    this.follow(settings, members, now);
  }

  /** Members' links may have changed; afterwards `alive` of each is true to the monitor. */
  follow(settings: BondSettings, members: readonly BondMember[], now: number): void {
    for (const member of members) {
      this.hold(member, now);
      if (member.link !== null && this.#lacp !== null) this.#tellLink(this.#lacp, member, now);
      if (member.link !== null && this.#monitor !== null) this.#ask(this.#monitor, settings, member, now);
    }
    this.judge(members);
  }

  /** LACP's partner is told, while there still is a link, of a member that is taken out or away. */
  hold({ name, disabled, link }: BondMember, now: number): void {
    this.#lacp?.hold(name, disabled || link?.leaving === true, now);
  }

  judge(members: readonly BondMember[]): void {
    for (const member of members) member.alive = this.#monitor?.alive(member.name) ?? true;
  }

  /** Who carries, as often as it likes. */
  carrying(names: readonly string[], now: number): void {
    if (this.#monitor === null || (this.#carrying !== null && isSameList(this.#carrying, names))) return;
    this.#carrying = names;
    this.#monitor.carrying(names, now);
  }

  receive(member: string, frame: Uint8Array, now: number): void {
    if (frame.length < ETHERNET_BYTES) return;
    if (etherType(frame, 0) === ETHERTYPE_SLOW_PROTOCOLS) this.#lacp?.receive(member, frame, now);
    else this.#monitor?.receive(member, frame, now);
  }

  tick(now: number): void {
    if (this.#lacp !== null && now >= this.#lacp.wakeAt) this.#lacp.tick(now);
    if (this.#monitor !== null && now >= this.#monitor.wakeAt) this.#monitor.tick(now, this.#received);
  }

  readonly #received = (member: string): number => this.#host.received(member);
  readonly #send = (member: string, frame: Uint8Array): void => this.#host.sendMember(member, frame);

  #configureLacp({ lacp, mode, minLinks }: BondSettings, members: readonly BondMember[], now: number): void {
    if (lacp === null || mode !== '802.3ad') {
      for (const name of this.#ports.keys()) this.#removePort(this.#lacp!, name, now);
      this.#lacp = null;
      return;
    }
    this.#mayFallBack = lacp.fallback;
    if (this.#lacp === null) this.#lacp = this.#parts.lacp(lacp, minLinks, now, this.#send);
    else this.#lacp.configure(lacp, minLinks, now);
    for (const name of this.#ports.keys()) {
      if (!members.some((member) => member.name === name)) this.#removePort(this.#lacp, name, now);
    }
    for (const { name, number, model } of members) {
      const port = `${number} ${model.priority}`;
      if (this.#ports.get(name) === port) continue;
      this.#ports.set(name, port);
      this.#lacp.addPort(name, { number, priority: model.priority }, now);
    }
  }

  #removePort(lacp: LacpMachine, name: string, now: number): void {
    lacp.removePort(name, now);
    this.#ports.delete(name);
    this.#links.delete(name);
  }

  #tellLink(lacp: LacpMachine, member: BondMember, now: number): void {
    const { name, speed, delay } = member;
    const mac = member.link!.mac;
    const link = `${delay.up} ${speed} ${mac}`;
    if (this.#links.get(name) === link) return;
    this.#links.set(name, link);
    lacp.link(name, delay.up, speed, mac, now);
  }

  #configureMonitor(settings: BondSettings, now: number): void {
    const { monitor, mac, sources, mode } = settings;
    const asked = monitor === null ? '' : JSON.stringify([monitor, mac, sources, mode]);
    if (asked === this.#asked) this.#dropAskers(settings);
    else {
      this.#asked = asked;
      const targets = JSON.stringify([monitor?.targets, monitor?.vlan]);
      const isSame = this.#monitor !== null && targets === this.#targets;
      this.#dead = new Set([...this.#askers.keys()].filter((name) => isSame && this.#monitor?.alive(name) === false));
      this.#targets = targets;
      this.#askers.clear();
      // In 802.3ad only those that carry receive; in active-backup only the active one asks.
      const everyone = wayOf(mode, false) !== 'single' && mode !== '802.3ad';
      this.#monitor =
        monitor === null ? null : this.#parts.monitor(monitor, mac, sources, now, this.#send, { everyone });
    }
  }

  #dropAskers({ members }: BondSettings): void {
    const wanted = new Set(members.map(({ name }) => name));
    for (const name of [...this.#askers.keys()].filter((asker) => !wanted.has(asker))) {
      this.#askers.delete(name);
      this.#monitor?.removeMember(name);
    }
  }

  /** Where members carry at once over links of one network each asks as itself, or the answers to all came by one. */
  #ask(monitor: LifeMonitor, settings: BondSettings, { name, link }: BondMember, now: number): void {
    const asker = wayOf(settings.mode, false) === 'senders' ? link!.mac : settings.mac;
    if (this.#askers.get(name) === asker) return;
    const isDead = this.#askers.has(name) ? !monitor.alive(name) : this.#dead.has(name);
    if (this.#askers.has(name)) monitor.removeMember(name);
    this.#askers.set(name, asker);
    this.#carrying = null;
    monitor.addMember(name, now, asker, !isDead);
  }
}

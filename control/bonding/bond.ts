/**
 * The bond machine: from settings, links, LACP, targets and commands to which member carries what. One for each bond, held by
 * control/running on the main thread. Pure but for its own state: time is passed in as monotonic milliseconds, and what it wants done it
 * asks of its host, within the call that was the cause. It never reads a clock, sets a timer or opens a device.
 */

import { BUCKETS_COUNT } from '../../dataplane/limits.ts';
import { RequestError } from '../errors.ts';
import type { BondSettings } from '../model/bond.ts';
import type { BondCommand } from '../switch.ts';
import { Buckets } from './buckets.ts';
import { Election } from './election.ts';
import type { BondHost, MemberLink, Reception, Steering } from './host.ts';
import { BondMember, GRACE_MS } from './member.ts';
import { type BondParts, PARTS } from './parts.ts';
import { Rebalancer } from './rebalancer.ts';
import { type BondStatus, type BondView, describeChange, downReason, reasonOf, statusOf } from './status.ts';
import { announcementOf, graceOf, hasActive, isSameSteering, reflectsOf, sendOf, type Way, wayOf } from './steering.ts';
import { Watch } from './watch.ts';

export type { BondHost, MemberLink, Reception, Steering } from './host.ts';
export type { BondStatus } from './status.ts';

const NEVER = Number.POSITIVE_INFINITY;

export class Bond {
  readonly #host: BondHost;
  readonly #watch: Watch;
  readonly #election = new Election();
  readonly #buckets = new Buckets();
  readonly #rebalancer: Rebalancer;
  /** By name, in the order of the settings. */
  #members = new Map<string, BondMember>();
  #settings: BondSettings;
  #way: Way;
  #steering: Steering;
  #reason: string | null;
  #lastActive: string | null = null;
  /** Until when the active member may hear what its predecessor sent. */
  #handedUntil = NEVER;
  #failovers = 0;

  /** All members are down until `link` tells otherwise. The host isn't called before the constructor has returned. */
  constructor(settings: BondSettings, host: BondHost, now: number, parts: BondParts = PARTS) {
    this.#settings = settings;
    this.#host = host;
    this.#watch = new Watch(parts, host);
    this.#rebalancer = new Rebalancer(this.#buckets, () => host.loads());
    this.#takeMembers(settings);
    this.#watch.configure(settings, this.#list(), now);
    this.#way = wayOf(settings.mode, this.#watch.fallsBack(false));
    const receive = new Map<string, Reception>(settings.members.map(({ name }) => [name, 'none']));
    this.#steering = {
      send: 'none',
      carrying: [],
      buckets: new Uint8Array(BUCKETS_COUNT),
      receive,
      active: null,
      reflects: false,
    };
    this.#reason = downReason(settings, this.#way, 0, 0);
  }

  get up(): boolean {
    return this.#reason === null;
  }

  /** Why it is down, null when it is up. */
  get reason(): string | null {
    return this.#reason;
  }

  get steering(): Steering {
    return this.#steering;
  }

  /** When it wants the next tick; Infinity: not before something happens. */
  get wakeAt(): number {
    let at = Math.min(this.#watch.wakeAt, this.#rebalancer.wakeAt, this.#handedUntil);
    for (const { delay, graceUntil } of this.#members.values()) at = Math.min(at, delay.wakeAt, graceUntil ?? NEVER);
    return at;
  }

  /** Other settings, under traffic: members that stay keep what they are. A new one is down until `link` tells otherwise. */
  configure(settings: BondSettings, now: number): void {
    const { primary, primaryReselect } = this.#settings;
    this.#settings = settings;
    this.#takeMembers(settings);
    for (const member of this.#members.values()) member.delay.retime(settings, now);
    this.#watch.configure(settings, this.#list(), now);
    if (settings.primary !== primary || settings.primaryReselect !== primaryReselect) this.#election.forgetChoice();
    this.#settle(now);
  }

  /** What a member's device is now; one that isn't known is not heard. */
  link(member: string, link: MemberLink, now: number): void {
    const known = this.#members.get(member);
    if (known === undefined) return;
    // Most drivers tell no speed without a link: what waits for downdelay has the one that it had.
    known.link = link.up || link.speed !== null ? link : { ...link, speed: known.link?.speed ?? null };
    if (link.leaving) {
      this.#watch.hold(known, now);
      known.delay.cut();
    } else known.delay.hear(link.up, this.#settings, now);
    this.#settle(now);
  }

  /** A punted frame, whole. */
  receive(member: string, frame: Uint8Array, now: number): void {
    if (!this.#members.has(member)) return;
    this.#watch.receive(member, frame, now);
    this.#settle(now);
  }

  /** RequestError when there is no such member, or when it can't be made the active one. */
  command(member: string, command: BondCommand, now: number): void {
    const known = this.#members.get(member);
    if (known === undefined) {
      const names = [...this.#members.keys()].join(', ');
      throw new RequestError('unknown-member', `the bond has no member ${member}`, `there are: ${names}`, 404);
    }
    if (command === 'activate') this.#choose(known);
    else known.disabled = command === 'disable';
    this.#settle(now);
  }

  /** Does what is due. */
  tick(now: number): void {
    for (const { delay } of this.#members.values()) delay.advance(now);
    this.#watch.tick(now);
    const carrying = this.#steering.carrying.map((name) => this.#members.get(name)!);
    this.#settle(now, this.#rebalancer.tick(carrying, this.#settings, now));
  }

  row(): BondStatus {
    return statusOf(this.#view());
  }

  #list(): readonly BondMember[] {
    return [...this.#members.values()];
  }

  #view(): BondView {
    return {
      settings: this.#settings,
      members: this.#list(),
      way: this.#way,
      steering: this.#steering,
      reason: this.#reason,
      lacp: this.#watch.lacp,
      failovers: this.#failovers,
      moved: this.#rebalancer.moved,
      rates: this.#rebalancer.rates,
    };
  }

  #takeMembers({ members }: BondSettings): void {
    const before = this.#members;
    const numbers = new Set(members.flatMap(({ name }) => before.get(name)?.number ?? []));
    this.#members = new Map();
    for (const model of members) {
      const member = before.get(model.name) ?? new BondMember(model, freeNumber(numbers));
      member.model = model;
      numbers.add(member.number);
      this.#members.set(model.name, member);
    }
  }

  #choose(member: BondMember): void {
    const { mode } = this.#settings;
    if (!hasActive(this.#way)) throw new RequestError('no-active-member', `${mode} has no active member`);
    if (!member.usable) {
      const why = reasonOf(this.#view(), member);
      throw new RequestError('member-not-up', `${member.name} can't be active: ${why}`, null, 409);
    }
    this.#election.choose(member.name);
  }

  /** After anything that happened: elects, steers, tells. `moved` are buckets that lead elsewhere already. */
  #settle(now: number, moved = new Set<number>()): void {
    const members = this.#list();
    this.#heed(members, now);
    const before = { steering: this.#steering, way: this.#way };
    this.#way = wayOf(this.#settings.mode, this.#watch.fallsBack(this.#way === 'single'));
    const carrying = this.#carriers(members);
    const usable = members.filter((member) => member.usable).length;
    this.#reason = downReason(this.#settings, this.#way, usable, carrying.length);
    if (this.up) for (const bucket of this.#buckets.fit(carrying)) moved.add(bucket);
    this.#steering = this.#steer(members, this.up ? carrying : [], now);
    this.#countActive();
    if (!isSameSteering(before.steering, this.#steering)) this.#host.steer(this.#steering);
    this.#rebalancer.follow(this.#steering, this.#settings, now);
    this.#tell(before, moved);
    this.#watch.carrying(this.#steering.carrying, now);
  }

  /** What watchers think; with nobody up the first that waits for updelay waits no longer. */
  #heed(members: readonly BondMember[], now: number): void {
    this.#watch.judge(members);
    if (!members.some((member) => member.usable)) {
      members.find((member) => member.delay.waiting && member.alive && !member.disabled)?.delay.hurry();
    }
    this.#watch.follow(this.#settings, members, now);
    for (const member of members) member.countFailure();
  }

  /** Who would carry if they are enough. */
  #carriers(members: readonly BondMember[]): string[] {
    const elected = hasActive(this.#way) ? this.#election.run(members, this.#settings) : null;
    if (this.#way === 'single') return elected === null ? [] : [elected];
    const { lacp } = this.#watch;
    return members.filter(({ usable, name }) => usable && (lacp?.distributing(name) ?? true)).map(({ name }) => name);
  }

  #steer(members: readonly BondMember[], carrying: readonly string[], now: number): Steering {
    const active = carrying.length > 0 && hasActive(this.#way) ? this.#election.active : null;
    const receive = new Map<string, Reception>();
    for (const member of members) {
      const due = this.#due(member.name, carrying, active);
      const before = this.#steering.receive.get(member.name) ?? 'none';
      const grace = this.up && before !== 'none' && this.#mayLinger(member) ? graceOf(this.#way) : 'none';
      receive.set(member.name, member.receptionOf(due, grace, now));
    }
    const send = carrying.length > 0 ? sendOf(this.#way) : 'none';
    if (active !== null && this.#lastActive !== null && active !== this.#lastActive) this.#handedUntil = now + GRACE_MS;
    if (now >= this.#handedUntil) this.#handedUntil = NEVER;
    const reflects = reflectsOf(this.#way, this.#handedUntil !== NEVER);
    return { send, carrying, buckets: this.#buckets.indexes(carrying), receive, active, reflects };
  }

  /** LACP says itself when a link has been emptied, and what comes by one that it left may be of another aggregator. */
  #mayLinger(member: BondMember): boolean {
    return this.#way !== 'aggregate' || this.#watch.lacp === null || member.disabled;
  }

  /** What a member may receive by its mode. */
  #due(name: string, carrying: readonly string[], active: string | null): Reception {
    const { lacp } = this.#watch;
    if (lacp !== null && this.#way === 'aggregate') return this.up && lacp.collecting(name) ? 'all' : 'none';
    if (!carrying.includes(name)) return 'none';
    return this.#way === 'senders' && name !== active ? 'unicast' : 'all';
  }

  #countActive(): void {
    const { active } = this.#steering;
    if (!hasActive(this.#way)) this.#lastActive = null;
    if (active === null) return;
    if (this.#lastActive !== null && active !== this.#lastActive) this.#failovers++;
    this.#lastActive = active;
  }

  #tell(before: { steering: Steering; way: Way }, moved: ReadonlySet<number>): void {
    const buckets = announcementOf(before, { steering: this.#steering, way: this.#way }, moved);
    if (buckets !== undefined) this.#host.announce(buckets);
    const view = this.#view();
    const whyNot = (name: string) => {
      const member = this.#members.get(name);
      return member === undefined ? 'it is no member any more' : (reasonOf(view, member) ?? '');
    };
    const reason = describeChange(before.steering, this.#steering, whyNot);
    if (reason !== null) this.#host.changed(reason);
  }
}

function freeNumber(taken: ReadonlySet<number>): number {
  let number = 1;
  while (taken.has(number)) number++;
  return number;
}

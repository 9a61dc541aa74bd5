/**
 * What a bond knows of one member: its link through the delays, whether targets answer, whether a person took it out. Held by bond.ts;
 * decides nothing about the others.
 */
import type { MemberModel } from '../model/bond.ts';
import { LinkDelay } from './delays.ts';
import type { MemberLink, Reception } from './host.ts';

/** How long one that was taken out by plan goes on receiving: what upstream sent before it learned better arrives. Milliseconds. */
export const GRACE_MS = 1000;

export class BondMember {
  model: MemberModel;
  /** Its port number in LACP, 1–65535; the same for as long as it is a member. */
  readonly number: number;
  /** null: not heard of yet. */
  link: MemberLink | null = null;
  readonly delay = new LinkDelay();
  /** Targets answer; true without a monitor. */
  alive = true;
  disabled = false;
  /** How often it was lost. */
  failures = 0;
  /** Until when it receives though it isn't due any more; null: it doesn't. */
  graceUntil: number | null = null;
  #wasSound = false;

  constructor(model: MemberModel, number: number) {
    this.model = model;
    this.number = number;
  }

  get name(): string {
    return this.model.name;
  }

  /** Bits per second, null where unknown. */
  get speed(): number | null {
    return this.model.speed ?? this.link?.speed ?? null;
  }

  get hasLink(): boolean {
    return this.link?.up ?? false;
  }

  /** Could carry, were it not for people and partners. */
  get sound(): boolean {
    return this.delay.up && this.alive;
  }

  get usable(): boolean {
    return this.sound && !this.disabled;
  }

  /**
   * What it may receive: what is `due` by the mode, or for a second after that ended `grace`; a lost link has no grace, and who received
   * nothing needs none: `none`.
   */
  receptionOf(due: Reception, grace: Reception, now: number): Reception {
    if (due !== 'none' || grace === 'none' || !this.hasLink) {
      this.graceUntil = null;
      return due;
    }
    this.graceUntil ??= now + GRACE_MS;
    if (now < this.graceUntil) return grace;
    this.graceUntil = null;
    return 'none';
  }

  countFailure(): void {
    if (this.#wasSound && !this.sound) this.failures++;
    this.#wasSound = this.sound;
  }
}

/**
 * Who is the active member: the rules of Linux bonding's primary and primary_reselect, and a choice by command. Pure; called by bond.ts
 * after everything that may have changed a member.
 */
import type { BondSettings } from '../model/bond.ts';

export interface Candidate {
  readonly name: string;
  readonly usable: boolean;
  /** Bits per second, null where unknown. */
  readonly speed: number | null;
}

export type ElectionRules = Pick<BondSettings, 'primary' | 'primaryReselect'>;

/**
 * The active member: the primary where the rules let it take over from `current`, else `current` while it is usable, else the first
 * usable one of `candidates`; null without a usable one.
 */
export function elect(candidates: readonly Candidate[], rules: ElectionRules, current: string | null): string | null {
  const usable = candidates.filter((candidate) => candidate.usable);
  const present = usable.find(({ name }) => name === current);
  const primary = usable.find(({ name }) => name === rules.primary);
  if (primary !== undefined && (present === undefined || takesOver(primary, present, rules))) return primary.name;
  return (present ?? usable[0])?.name ?? null;
}

function takesOver(primary: Candidate, present: Candidate, { primaryReselect }: ElectionRules): boolean {
  switch (primaryReselect) {
    case 'always':
      return true;
    case 'better':
      return primary.speed !== null && present.speed !== null && primary.speed > present.speed;
    case 'failure':
      return false;
  }
}

/**
 * Remembers who is active, and for how long a choice by command stands against the primary: until one of the two changes. A new primary, or
 * one that is newly a member, is active as soon as it is up, whatever primaryReselect says ("when initially enslaved").
 */
export class Election {
  #active: string | null = null;
  #isChosen = false;
  #primary: string | null = null;
  /** The primary that was up since it is the primary and a member. */
  #tried: string | null = null;

  get active(): string | null {
    return this.#active;
  }

  run(candidates: readonly Candidate[], rules: ElectionRules): string | null {
    const primary = candidates.find(({ name, usable }) => usable && name === rules.primary)?.name ?? null;
    const primaryIsNew = primary !== null && primary !== this.#primary;
    this.#primary = primary;
    const activeIsUsable = candidates.some(({ name, usable }) => usable && name === this.#active);
    if (primaryIsNew || !activeIsUsable) this.#isChosen = false;
    if (!candidates.some(({ name }) => name === rules.primary && name === this.#tried)) this.#tried = null;
    if (primary !== null && this.#tried === null) this.#active = primary;
    this.#tried ??= primary;
    if (!this.#isChosen) this.#active = elect(candidates, rules, this.#active);
    return this.#active;
  }

  /** `name` is usable and shall be active. */
  choose(name: string): void {
    this.#active = name;
    this.#isChosen = true;
  }

  /** The rules were changed: they decide again. */
  forgetChoice(): void {
    this.#isChosen = false;
  }
}

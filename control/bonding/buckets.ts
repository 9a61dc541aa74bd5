/**
 * The 256 buckets of a bond and which member each leads to. A frame's hash picks the bucket, so what stays here stays in order. Called by
 * bond.ts when other members carry, and by balance.ts's moves. Knows names only; never asks whether a member is up.
 */
import { BUCKETS_COUNT } from '../../dataplane/limits.ts';

export class Buckets {
  readonly #owners: (string | null)[] = new Array<string | null>(BUCKETS_COUNT).fill(null);

  get owners(): readonly (string | null)[] {
    return this.#owners;
  }

  /**
   * Only `members`, in this order of preference, own buckets from now on. What the others had goes to those with the fewest; who is new
   * takes from those with the most until one more would make it uneven. Everything else stays. Answers the buckets that moved.
   */
  fit(members: readonly string[]): Set<number> {
    const counts = this.#counts(members);
    const arrivals = members.filter((member) => counts.get(member) === 0);
    const moved = new Set<number>();
    const give = (bucket: number, to: string) => {
      this.#owners[bucket] = to;
      counts.set(to, counts.get(to)! + 1);
      moved.add(bucket);
    };
    if (members.length === 0) return moved;
    this.#owners.forEach((owner, bucket) => {
      if (owner === null || !counts.has(owner)) give(bucket, fewest(members, counts));
    });
    while (arrivals.length > 0) {
      const to = fewest(arrivals, counts);
      const from = most(members, counts);
      if (counts.get(from)! - counts.get(to)! < 2) break;
      counts.set(from, counts.get(from)! - 1);
      give(this.#owners.lastIndexOf(from), to);
    }
    return moved;
  }

  move(bucket: number, to: string): void {
    this.#owners[bucket] = to;
  }

  /** For each bucket the index of its owner in `members`; 0 where it has none of them. */
  indexes(members: readonly string[]): Uint8Array {
    const places = new Map(members.map((member, index) => [member, index]));
    return Uint8Array.from(this.#owners, (owner) => (owner === null ? 0 : (places.get(owner) ?? 0)));
  }

  #counts(members: readonly string[]): Map<string, number> {
    const counts = new Map(members.map((member) => [member, 0]));
    for (const owner of this.#owners) {
      if (owner !== null && counts.has(owner)) counts.set(owner, counts.get(owner)! + 1);
    }
    return counts;
  }
}

/** The first of those with the fewest buckets. */
function fewest(names: readonly string[], counts: ReadonlyMap<string, number>): string {
  return names.reduce((best, name) => (counts.get(name)! < counts.get(best)! ? name : best));
}

function most(names: readonly string[], counts: ReadonlyMap<string, number>): string {
  return names.reduce((best, name) => (counts.get(name)! > counts.get(best)! ? name : best));
}

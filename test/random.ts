/** Random numbers that a seed decides; apart from seed.ts, so that threads and child processes have them without the test runner. */

/** A generator of ints 0 … below − 1 from a seed (splitmix32); the same seed gives the same numbers on every machine. */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed | 0;
  return (below) => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    mixed ^= mixed >>> 15;
    return (mixed >>> 0) % below;
  };
}

/**
 * Keys made of speeds, so that links of one speed aggregate (IEEE 802.1AX-2014, 6.3.5). Called by system.ts. Pure.
 */
const DIGITS = 1_000;
const UNKNOWN_SPEED_KEY = 1;

/** Exponent and three digits, as 7100 for 100 × 10⁷, 1 Gb/s, or 8250 for 25 Gb/s; an unknown speed is 1. */
export function keyOf(speed: number | null): number {
  if (speed === null || !(speed >= 1)) return UNKNOWN_SPEED_KEY;
  let exponent = 0;
  let digits = Math.round(speed);
  while (digits >= DIGITS) {
    digits = Math.round(digits / 10);
    exponent++;
  }
  return Math.min(exponent * DIGITS + digits + (exponent === 0 ? UNKNOWN_SPEED_KEY : 0), 0xffff);
}

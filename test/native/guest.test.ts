// Builds the guests' native tests with the sanitizers and runs them; they need no Node and no addon. WEFT_SEED repeats a random run,
// WEFT_CASES lengthens it.
import { expect, it } from 'vitest';
import { isLong } from '../needs.ts';
import { seedFor } from '../seed.ts';
import { describeProgram, FINE } from './program.ts';

const FUZZ_MS = isLong() ? 7_200_000 : 300_000;
const CASES = Number(process.env.WEFT_CASES ?? (isLong() ? 100_000_000 : 1_000_000));
/** The same, a tenth of them, beside a thread that writes into the memory that is being read. */
const SCRIBBLED = CASES / 10;
const TESTS = [
  'guest.test',
  'guest-receive-rules',
  'guest-transmit-rules',
  'guest-ring-rules',
  'guest-fault',
  'guest-fair',
  'guest-fuzz',
];
const NATIVE = [
  'doorbell',
  'guest',
  'guest-memory',
  'guest-ring',
  'guest-receive',
  'guest-transmit',
  'slots',
  'finish',
  'registry',
  'engine',
  'receive',
  'transmit',
  'uring',
];

describeProgram('guests, native', TESTS, NATIVE, (run) => {
  it('keeps every rule of virtio, and says which one a guest broke', async () => {
    expect(await run('rules')).toEqual(FINE);
  }, 60_000);

  it('outlives files that are cut short, and takes no fault that is another’s', async () => {
    expect(await run('faults')).toEqual(FINE);
  }, 60_000);

  it('leaves every port its share beside those that flood, hog or take nothing', async () => {
    expect(await run('shares')).toEqual(FINE);
  }, 60_000);

  it.each([
    ['fuzz', CASES],
    ['scribbles', SCRIBBLED],
  ])(
    `survives hostile guests: %s`,
    async (part, cases) => {
      const { status, output } = await run(part, String(seedFor(part)), String(cases));
      expect(status, output).toBe(0);
    },
    FUZZ_MS,
  );
});

// Builds the native tests of what tunnels receive (headers, frames in them, merging) with the sanitizers and runs them; they need no Node and
// no addon. WEFT_SEED repeats a random run, WEFT_CASES lengthens it.
import { expect, it } from 'vitest';
import { isLong } from '../needs.ts';
import { seedFor } from '../seed.ts';
import { describeProgram, FINE } from './program.ts';

const RUN_MS = isLong() ? 3_600_000 : 300_000;
const CASES = Number(process.env.WEFT_CASES ?? (isLong() ? 2_000_000 : 20_000));
/** A case of streams is some hundred frames. */
const STREAMS = Math.ceil(CASES / 50);
const TESTS = ['arrival.test', 'arrival-rules', 'coalesce-rules', 'arrival-fuzz'];
const NATIVE = ['decapsulate', 'inner', 'coalesce', 'slots', 'finish', 'registry'];

describeProgram('tunnels’ arrivals, native', TESTS, NATIVE, (run) => {
  it('keeps every rule of headers, unfinished checksums and merging', async () => {
    expect(await run('rules')).toEqual(FINE);
  }, 60_000);

  it.each([
    ['streams', STREAMS],
    ['garbage', CASES],
  ])(
    'loses and reorders nothing, and reads nothing outside: %s',
    async (part, cases) => {
      const { status, output } = await run(part, seedFor(part), cases);
      expect(status, output).toBe(0);
    },
    RUN_MS,
  );
});

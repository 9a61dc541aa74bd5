// Builds the finisher's native tests with the sanitizers and runs them; they need no Node and no addon. Each part is one
// test here. WEFT_SEED repeats a random run, WEFT_CASES lengthens it.
import { expect, it } from 'vitest';
import { describeProgram, FINE, SKIPPED } from './program.ts';

const TESTS = ['finish.test', 'finish-rules', 'finish-kernel'];
const NATIVE = ['finish'];

const seed = process.env.WEFT_SEED ?? String(Date.now() % 1_000_000_000);
const cases = process.env.WEFT_CASES ?? '100000';

describeProgram('finish, native', TESTS, NATIVE, (run) => {
  it('keeps every rule of the header, checksum and scratch', async () => {
    expect(await run('rules')).toEqual(FINE);
  }, 60_000);

  it(`survives mutated descriptions (WEFT_SEED=${seed} WEFT_CASES=${cases})`, async () => {
    const { status, output } = await run('fuzz', seed, cases);
    expect(status, output).toBe(0);
  }, 600_000);

  it(`cuts super-frames as the kernel does, byte for byte (WEFT_SEED=${seed})`, async (ctx) => {
    const { status, output } = await run('kernel', seed, '300');
    if (status === SKIPPED) ctx.skip(output.trim());
    expect(status, output).toBe(0);
  }, 60_000);
});

/**
 * Stands in until the demo is here: says so and makes nothing.
 */
import type { Io } from '../cli/io.ts';
import { WeftError } from '../errors.ts';

export interface DemoOptions {
  readonly keep?: boolean;
  readonly memory?: boolean;
  readonly json?: boolean;
}

/** Answers the exit code. */
export async function runDemo(_io: Io, _options: DemoOptions): Promise<number> {
  throw new WeftError('not-built', 'this build has no demo');
}

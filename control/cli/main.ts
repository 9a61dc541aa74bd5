#!/usr/bin/env node
/**
 * The process behind `weft`. Sets a flag of V8's for all heaps of `run`, and starts what that needs while commander still loads, the first
 * worker's thread first since it has a core of its own; then hands over to program.ts and ends with its exit code. A reader that goes away
 * (`weft show fdb | head`) ends the command quietly.
 */
import { setFlagsFromString } from 'node:v8';
import { commandWord } from './command-word.ts';
import { processIo } from './io.ts';

// Once a heap has been idle for 8 s, V8 collects up to three times to give some MB back: most of what an idle switch took (`idle-cpu` of
// bench/system: 1.4 % of a core with 1,000 TAPs, 0.2 % without, 2026-11). Here it waits an hour; what is allocated is collected as ever.
const REDUCE_MEMORY_AFTER_MS = 3_600_000;

if (commandWord(process.argv.slice(2)) === 'run') {
  setFlagsFromString(`--gc-memory-reducer-start-delay-ms=${REDUCE_MEMORY_AFTER_MS}`);
  (await import('../workers/pool.ts')).startEarly();
  // All at once and not waited for here: `run` imports the same modules and finds them loaded.
  void Promise.allSettled([
    import('../running/open.ts'),
    import('../config/load.ts'),
    import('../log.ts'),
    import('../daemon.ts'),
    import('../api/server.ts'),
    import('../metrics/server.ts'),
  ]);
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
const { runCli } = await import('./program.ts');
process.exitCode = await runCli(process.argv.slice(2), processIo());

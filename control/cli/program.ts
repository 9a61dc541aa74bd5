/**
 * The command line as a tree of commander commands. Called by main.ts and by tests; `weft __complete` walks the same tree.
 * Exit codes: 0 done, 1 failed, 2 wrong usage. Heavy modules are loaded by the commands that need them, never here.
 */
import { Command, CommanderError } from 'commander';
import { version } from '../version.ts';
import { commandWord } from './command-word.ts';
import { addRunCommands } from './commands/run.ts';
import type { Context } from './context.ts';
import { type Io, printError } from './io.ts';

const USAGE_EXIT = 2;

/** All commands; for `first` = `run` only that one, whose start the others' modules would delay by 15 ms (measured 2026-11). */
export async function buildProgram(context: Context, first: string | undefined): Promise<Command> {
  const { io } = context;
  const program = new Command('weft')
    .description('A userspace virtual switch: TAP ports, learning, VLANs, and every lost frame with its reason.')
    .version(version(), '-V, --version', 'print the version')
    .option('--socket <path>', 'the daemon’s socket (also WEFT_SOCKET)')
    .helpOption('-h, --help', 'print help for the command')
    .exitOverride()
    .showHelpAfterError('(weft COMMAND --help shows its usage and examples)')
    .configureOutput({
      writeOut: (text) => void io.out.write(text),
      writeErr: (text) => void io.err.write(text),
      getOutHelpWidth: () => Math.min(io.width(), 120),
      getErrHelpWidth: () => Math.min(io.width(), 120),
      getOutHasColors: () => io.colour,
      getErrHasColors: () => false,
      outputError: (text, write) => write(text.replace(/^error: /, 'weft: ')),
    });
  addRunCommands(program, context);
  if (first !== 'run') (await import('./commands/others.ts')).addOtherCommands(program, context);
  return program;
}

/** Runs one command line (without `node` and the script) and answers its exit code. */
export async function runCli(args: readonly string[], io: Io): Promise<number> {
  const context: Context = { io, exitCode: 0 };
  const program = await buildProgram(context, commandWord(args));
  try {
    if (args.length === 0) {
      io.err.write(program.helpInformation());
      return USAGE_EXIT;
    }
    await program.parseAsync([...args], { from: 'user' });
    return context.exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE_EXIT;
    return printError(io, error);
  }
}

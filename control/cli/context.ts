/**
 * What every command gets beside its own arguments. Made by program.ts.
 */
import type { Command } from 'commander';
import { socketPath } from '../api/socket.ts';
import { type Client, makeClient } from './client.ts';
import type { Io } from './io.ts';

export interface Context {
  readonly io: Io;
  /** Set by a command that failed without an exception. */
  exitCode: number;
}

/** The client of the daemon that `--socket`, WEFT_SOCKET or the default names. */
export function clientOf(context: Context, command: Command): Client {
  const { socket } = command.optsWithGlobals<{ socket?: string }>();
  return makeClient(socketPath({ option: socket, environment: context.io.environment }));
}

/** Examples below a command's help, each a line of `weft …`. */
export function examples(command: Command, ...lines: readonly (readonly [command: string, what: string])[]): Command {
  const width = Math.max(...lines.map(([text]) => text.length));
  const text = lines.map(([example, what]) => `  $ weft ${example.padEnd(width)}  # ${what}`).join('\n');
  return command.addHelpText('after', `\nExamples:\n${text}`);
}

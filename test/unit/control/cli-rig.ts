/**
 * Runs `weft …` in this process over an apiRig's daemon and keeps what it printed.
 */
import { PassThrough } from 'node:stream';
import type { Io } from '../../../control/cli/io.ts';
import { runCli } from '../../../control/cli/program.ts';
import type { ApiRig } from './api-rig.ts';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly width?: number;
  readonly colour?: boolean;
  readonly environment?: NodeJS.ProcessEnv;
}

function collector(): { stream: PassThrough; text: () => string } {
  const stream = new PassThrough();
  let text = '';
  stream.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  return { stream, text: () => text };
}

/** Starts a command line; `out` and `err` can be read while it runs. */
export function startWeft(environment: NodeJS.ProcessEnv, args: readonly string[], options: RunOptions = {}) {
  const out = collector();
  const err = collector();
  const width = options.width ?? Number.POSITIVE_INFINITY;
  const io: Io = {
    out: out.stream,
    err: err.stream,
    environment,
    terminal: options.width !== undefined,
    colour: options.colour === true,
    width: () => width,
  };
  const done = runCli(args, io).then(async (code): Promise<Ran> => {
    await new Promise(setImmediate);
    return { code, out: out.text(), err: err.text() };
  });
  return { done, out: out.text, err: err.text };
}

export function weft(rig: Pick<ApiRig, 'path'>, args: string, options: RunOptions = {}): Promise<Ran> {
  const environment = options.environment ?? { WEFT_SOCKET: rig.path };
  return startWeft(environment, args.split(' ').filter(Boolean), options).done;
}

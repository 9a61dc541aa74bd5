/**
 * Where the API's unix socket lies, and how it is taken: a live daemon's is refused, a dead one's taken over. Called by the
 * daemon (claim) and the CLI (path), on the main thread. The socket's mode is the API's only access control.
 */
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { createConnection, type Server } from 'node:net';
import { dirname } from 'node:path';
import { DeviceError, WeftError } from '../errors.ts';
import { giveToGroup, groupId } from '../groups.ts';

const GROUP = 'weft';
const PROBE_MS = 1000;
/** Claiming takes milliseconds: an older lock is left over. */
const LOCK_MS = 5000;
const PATH_BYTES_MAX = 107;

export interface SocketChoice {
  /** `--socket`. */
  readonly option?: string | undefined;
  /** `api.socket` of the document; the CLI, which has none, leaves it out. */
  readonly document?: string | undefined;
  readonly environment?: NodeJS.ProcessEnv;
  readonly uid?: number;
}

/** Throws a WeftError (code `no-socket-path`) when nothing says where. */
export function socketPath(choice: SocketChoice = {}): string {
  const { environment = process.env, uid = process.getuid?.() ?? 0 } = choice;
  const named = choice.option ?? (environment.WEFT_SOCKET || undefined) ?? choice.document;
  if (named !== undefined) return checked(named);
  if (uid === 0) return '/run/weft/weft.sock';
  const runtime = environment.XDG_RUNTIME_DIR;
  if (runtime) return checked(`${runtime}/weft/weft.sock`);
  throw new WeftError('no-socket-path', 'XDG_RUNTIME_DIR is not set, so there is no place for the socket', {
    exitCode: 2,
    hint: 'name one with --socket or WEFT_SOCKET, or run as root',
  });
}

function checked(path: string): string {
  const bytes = Buffer.byteLength(path);
  if (bytes >= 1 && bytes <= PATH_BYTES_MAX) return path;
  const message = `the socket's path has ${bytes} bytes (a unix socket's has 1–${PATH_BYTES_MAX})`;
  throw new WeftError('bad-socket-path', message, { exitCode: 2, hint: 'name a shorter one with --socket' });
}

/** Does anybody answer at the socket? */
export async function isAlive(path: string): Promise<boolean> {
  const probe = createConnection(path);
  probe.setTimeout(PROBE_MS, () => probe.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })));
  try {
    await once(probe, 'connect');
    return true;
  } catch (error) {
    // A listener whose queue is full (EAGAIN) or that may not be spoken to (EACCES) lives.
    return !['ECONNREFUSED', 'ENOENT', 'ENOTSOCK'].includes((error as NodeJS.ErrnoException).code ?? '');
  } finally {
    probe.destroy();
  }
}

/** Only one daemon at a time may look at an old socket and replace it. Answers what releases the lock. */
function lock(path: string): () => void {
  const file = `${path}.lock`;
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      const fd = openSync(file, 'wx', 0o600);
      writeSync(fd, `${process.pid}\n`);
      closeSync(fd);
      return () => rmSync(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      // From the future after a clock step: left over too.
      const age = Math.abs(Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0));
      if (age < LOCK_MS) break;
      rmSync(file, { force: true });
    }
  }
  throw new WeftError('socket-in-use', `another weft is starting at ${path}`, {
    hint: 'try again in a few seconds, or name another --socket',
  });
}

async function takeOver(path: string): Promise<void> {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new WeftError('socket-in-use', `${path} is there and is not a socket`, {
      hint: 'remove it, or name another --socket',
    });
  }
  if (await isAlive(path)) {
    throw new WeftError('socket-in-use', `a weft already runs and answers at ${path}`, {
      hint: 'stop it, or name another --socket (WEFT_SOCKET) for a second one',
    });
  }
  rmSync(path, { force: true });
}

/** Bound with the mode already right, so that nobody connects in between. */
async function bind(server: Server, path: string): Promise<void> {
  const before = process.umask(0o177);
  try {
    server.listen({ path });
  } finally {
    process.umask(before);
  }
  await once(server, 'listening');
  const group = groupId(GROUP);
  if (group === null) return;
  try {
    giveToGroup(path, group);
  } catch {
    // Not root and not in the group: the socket stays its owner's alone.
  }
}

/** Makes the server listen at the path. Throws a WeftError when a live daemon has it, a DeviceError when the system refuses. */
export async function claimSocket(server: Server, path: string): Promise<void> {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    const release = lock(path);
    try {
      await takeOver(path);
      await bind(server, path);
    } finally {
      release();
    }
  } catch (error) {
    if (error instanceof WeftError) throw error;
    const { message, code } = error as NodeJS.ErrnoException;
    const hint =
      code === 'EACCES' || code === 'EPERM' || code === 'EROFS' ? 'run as root, or name another --socket' : null;
    throw new DeviceError('socket', `the socket ${path} can’t be made: ${message}`, hint, error);
  }
}

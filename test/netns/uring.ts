/** Does this host let us use io_uring? Containers and hardened hosts often don't; `io: io_uring` is then refused, so that such tests are skipped. */
import { spawnSync } from 'node:child_process';

/** io_uring_setup(1, params) by number: 425 on every architecture. */
const PROBE =
  'import ctypes, sys; sys.exit(0 if ctypes.CDLL(None).syscall(425, 1, ctypes.create_string_buffer(120)) >= 0 else 3)';
const FORBIDDEN = 3;

let known: string | null | undefined;

/** A reason for `describeNeeds`, or null. Where python3 is missing that is the reason, and told by others. */
export function uringReason(): string | null {
  known ??= spawnSync('python3', ['-c', PROBE]).status === FORBIDDEN ? 'this host forbids io_uring' : null;
  return known;
}

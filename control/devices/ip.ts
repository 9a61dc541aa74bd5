/**
 * The one place that runs `ip` (and `tc`, iproute2 too): single commands, JSON answers, and batches of many in one process.
 * Called by the rest of control/devices on the main thread. Every failure becomes a DeviceError with a code and a hint.
 */
import { execFile } from 'node:child_process';
import { DeviceError } from '../errors.ts';

export interface IpResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `ip` or `tc` with arguments and, where given, standard input. Rejects only when it can't be run at all. */
export type RunIp = (args: readonly string[], input?: string, program?: 'ip' | 'tc') => Promise<IpResult>;

/** `ip` lies in a folder that a user's PATH often lacks; its messages are read, so they must be the English ones. */
export function ipEnvironment(): Record<string, string> {
  return { PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C' };
}

const OUTPUT_BYTES_MAX = 256 << 20;

/**
 * By node's own execFile: out of descriptors, a child process has no pipes, and execa (9.6, on Node 20) then throws on its way to the
 * handler of the child's error, which ends the daemon as nobody's.
 */
export const runIp: RunIp = (args, input = '', program = 'ip') =>
  new Promise((resolve, reject) => {
    const options = { env: { ...process.env, ...ipEnvironment() }, maxBuffer: OUTPUT_BYTES_MAX };
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      const exitCode = error === null ? 0 : error.code;
      if (typeof exitCode === 'number') resolve({ exitCode, stdout: stdout.trimEnd(), stderr: stderr.trimEnd() });
      else reject(cannotRun(exitCode ?? undefined, error?.message ?? 'it was ended by a signal'));
    });
    // It may end before it has read everything; then its exit code tells.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });

export function cannotRun(code: string | undefined, message: string): DeviceError {
  if (code === 'ENOENT') {
    return new DeviceError('no-ip', 'the command ip was not found', 'Install the package iproute2.');
  }
  const hints: Readonly<Record<string, string>> = {
    EMFILE: 'Raise the limit of open files (ulimit -n, LimitNOFILE=).',
    EAGAIN: 'The host is out of processes.',
    ENFILE: 'The host is out of files.',
    ENOMEM: 'The host is out of memory.',
  };
  return new DeviceError('ip-failed', `ip could not be run: ${message}`, hints[code ?? ''] ?? null);
}

interface Kind {
  readonly pattern: RegExp;
  readonly code: string;
  readonly hint: string | null;
}

const KINDS: readonly Kind[] = [
  {
    pattern: /Operation not permitted|Permission denied/,
    code: 'no-permission',
    hint: 'Run as root, or with CAP_NET_ADMIN (and CAP_SYS_ADMIN for namespaces).',
  },
  {
    pattern: /Cannot open network namespace/,
    code: 'no-such-netns',
    hint: 'Make it with `ip netns add NAME`, or correct its name.',
  },
  { pattern: /Cannot find device|No such device|does not exist/, code: 'no-such-device', hint: null },
  {
    pattern: /Nexthop has invalid gateway|Network is unreachable/,
    code: 'bad-gateway',
    hint: 'Is it in a network of the port’s address?',
  },
  { pattern: /mtu (greater|less) than device|MTU/, code: 'bad-mtu', hint: 'A TAP takes an MTU of 68 to 65,521.' },
  { pattern: /File exists|already assigned/, code: 'already-there', hint: null },
  { pattern: /No such process|Cannot assign requested address/, code: 'not-there', hint: null },
  {
    pattern: /No space left|Too many open files|Cannot allocate memory|No buffer space/,
    code: 'no-room',
    hint: 'The host is out of memory, files or devices.',
  },
  { pattern: /Device or resource busy/, code: 'device-busy', hint: null },
];

/** What `ip` said on stderr, as an error; `what` is what was being done: `device tap-web: setting its MTU`. */
export function ipError(stderr: string, what: string): DeviceError {
  const said = stderr
    .split('\n')
    .map((line) => line.replace(/^(RTNETLINK answers|Error): /, '').trim())
    .filter((line) => line !== '' && !line.startsWith('Command failed'))
    .join('; ');
  const kind = KINDS.find(({ pattern }) => pattern.test(stderr));
  return new DeviceError(
    kind?.code ?? 'ip-failed',
    `${what}: ${said === '' ? 'ip gave no reason' : said}`,
    kind?.hint ?? null,
  );
}

function inNetns(netns: string | null): string[] {
  return netns === null ? [] : ['-n', netns];
}

/** One command. Throws a DeviceError. */
export async function ip(run: RunIp, args: readonly string[], what: string): Promise<string> {
  const result = await run(args);
  if (result.exitCode !== 0) throw ipError(result.stderr, what);
  return result.stdout;
}

/** The parsed answer of `ip -json`; some versions say nothing where they mean an empty list. Throws a DeviceError. */
export async function ipJson<T>(run: RunIp, netns: string | null, args: readonly string[], what: string): Promise<T[]> {
  const text = await ip(run, [...inNetns(netns), '-json', ...args], what);
  // `{}` stands for an object that a filter left out.
  return text.trim() === '' ? [] : (JSON.parse(text) as T[]).filter((item) => Object.keys(item as object).length > 0);
}

export interface BatchFailure {
  /** Which command of the batch. */
  readonly index: number;
  readonly error: DeviceError;
}

/**
 * Many commands in one process and one namespace; a failing one does not stop the rest. Answers the failures, in order.
 * Throws a DeviceError when none could run (the namespace is not there).
 */
export async function ipBatch(run: RunIp, netns: string | null, commands: readonly string[]): Promise<BatchFailure[]> {
  if (commands.length === 0) return [];
  const result = await run([...inNetns(netns), '-force', '-batch', '-'], `${commands.join('\n')}\n`);
  if (result.exitCode === 0) return [];
  const failures: BatchFailure[] = [];
  let said: string[] = [];
  for (const line of result.stderr.split('\n')) {
    const match = /^Command failed -:(\d+)$/.exec(line);
    if (match === null) {
      said.push(line);
      continue;
    }
    const index = Number(match[1]) - 1;
    failures.push({ index, error: ipError(said.join('\n'), `ip ${commands[index]}`) });
    said = [];
  }
  if (failures.length === 0) throw ipError(result.stderr, netns === null ? 'ip' : `namespace ${netns}`);
  return failures;
}

/** Runs at most `width` at once: each namespace costs a process, and a host may have hundreds of them. */
export async function inParallel<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  const lane = async () => {
    for (let at = next++; at < items.length; at = next++) results[at] = await work(items[at]!);
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
  return results;
}

/**
 * Takes the queueing discipline off devices that are still down. A multi-queue TAP has 256 transmit queues, and its default
 * discipline makes a queue of packets for each as it comes up: measured 2026-11 on Linux 6.18, 13 ms and 6 MB of kernel memory a
 * device, against 0.12 ms and nothing. A TAP drops by itself what its reader is too slow for, so the discipline only delays.
 * Best effort: without `tc` a device comes up all the same, only dearer.
 */
export async function withoutQdisc(run: RunIp, netns: string | null, devices: readonly string[]): Promise<void> {
  if (devices.length === 0) return;
  const lines = devices.map((device) => `qdisc replace dev ${device} root noqueue`);
  await run([...inNetns(netns), '-force', '-batch', '-'], `${lines.join('\n')}\n`, 'tc').catch(() => null);
}

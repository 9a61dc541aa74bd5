/**
 * What validation needs to know of this machine: the CPUs that the process may run on. Read once, on the main thread, by
 * load.ts's default; tests pass a Host of their own.
 */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import type { Host } from './checks.ts';

/** `0-2,5` as the kernel writes CPU lists. */
export function parseCpuList(text: string): number[] {
  return text
    .trim()
    .split(',')
    .filter((part) => part !== '')
    .flatMap((part) => {
      const [from, to = from] = part.split('-').map(Number) as [number, number?];
      return Array.from({ length: to! - from + 1 }, (_, i) => from + i);
    });
}

/** The affinity mask counts, not the machine: a container or `taskset` may allow less. */
function allowedCpus(): number[] {
  try {
    const match = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'));
    if (match !== null) return parseCpuList(match[1]!);
  } catch {
    // No /proc: the machine's count is the best answer left.
  }
  return cpus().map((_, i) => i);
}

let known: Host | null = null;

export function thisHost(): Host {
  known ??= { cpus: allowedCpus() };
  return known;
}

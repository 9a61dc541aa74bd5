// What a process costs: CPU time and memory from /proc. Threads are counted one by one, because /proc/PID/stat only ticks every 10 ms
// and an idle switch is to stay below that. Parsers are pure.
import { readdirSync, readFileSync } from 'node:fs';

/** Nanoseconds on a CPU from a /proc/PID/task/TID/schedstat line (Documentation/scheduler/sched-stats.rst): the first number. */
export function parseSchedstat(text: string): number {
  const first = Number(text.trim().split(/\s+/)[0]);
  if (!Number.isFinite(first)) throw new Error(`not a schedstat line: ${text.slice(0, 60)}`);
  return first;
}

/** User + system ticks from /proc/PID/stat (proc(5), fields 14 and 15); the name in parentheses may hold spaces and parentheses. */
export function parseStatTicks(text: string): number {
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .trim()
    .split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  if (!Number.isFinite(ticks)) throw new Error(`not a stat line: ${text.slice(0, 60)}`);
  return ticks;
}

export interface MemoryUse {
  readonly pssMB: number;
  readonly hugeMB: number;
}

/** Pss and huge pages in MB (10^6 bytes) from /proc/PID/smaps_rollup; Pss does not hold huge pages of hugetlbfs. */
export function parseMemory(text: string): MemoryUse {
  const kilobytes = (key: string): number => {
    const match = new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(text);
    if (match === null) throw new Error(`smaps_rollup has no ${key}`);
    return Number(match[1]);
  };
  const huge = kilobytes('Shared_Hugetlb') + kilobytes('Private_Hugetlb');
  return { pssMB: (kilobytes('Pss') * 1024) / 1e6, hugeMB: (huge * 1024) / 1e6 };
}

/** CPU seconds that the process's threads have used; falls back to /proc/PID/stat (10 ms steps) without schedstats. */
export function cpuSeconds(pid: number): number {
  let total = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const file = readOr(`/proc/${pid}/task/${thread}/schedstat`);
    if (file !== null) total += parseSchedstat(file);
  }
  return total > 0 ? total / 1e9 : parseStatTicks(readFileSync(`/proc/${pid}/stat`, 'utf8')) / 100;
}

/** The one CPU that a /proc/PID/task/TID/status allows (proc(5), Cpus_allowed_list), or null when there are several. */
export function parseOnlyCpu(text: string): number | null {
  const match = /^Cpus_allowed_list:\s+(\d+)$/m.exec(text);
  return match === null ? null : Number(match[1]);
}

/** Id of the thread of `pid` that is bound to CPU `cpu` and to no other. Throws unless there is exactly one. */
export function boundThread(pid: number, cpu: number): number {
  const bound = readdirSync(`/proc/${pid}/task`).filter((thread) => {
    const text = readOr(`/proc/${pid}/task/${thread}/status`);
    return text !== null && parseOnlyCpu(text) === cpu;
  });
  if (bound.length !== 1) throw new Error(`${bound.length} threads of process ${pid} are bound to CPU ${cpu}, not one`);
  return Number(bound[0]);
}

/** Memory of a running process. */
export function memoryUse(pid: number): MemoryUse {
  return parseMemory(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
}

function readOr(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

// Huge pages for DPDK, which the guests of this bench and two of the switches are made with: takes as many as are missing, and gives
// them back at the end. Weft needs none. Main thread; the only place that writes to /proc/sys.
import { readFileSync, writeFileSync } from 'node:fs';
import type { Cleanup } from '../system/cleanup.ts';

const COUNT_FILE = '/proc/sys/vm/nr_hugepages';
const PAGE_KB = 2048;

export interface HugePages {
  readonly total: number;
  readonly free: number;
  readonly kilobytes: number;
}

/** Numbers of huge pages from /proc/meminfo (proc(5)); pages that are promised to somebody don't count as free. */
export function parseHugePages(text: string): HugePages {
  const number = (key: string): number => {
    const match = new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(text);
    if (match === null) throw new Error(`/proc/meminfo has no ${key}: this kernel has no huge pages`);
    return Number(match[1]);
  };
  const free = number('HugePages_Free') - number('HugePages_Rsvd');
  return { total: number('HugePages_Total'), free, kilobytes: number('Hugepagesize') };
}

const readHugePages = () => parseHugePages(readFileSync('/proc/meminfo', 'utf8'));

/** Sees to `wanted` free pages of 2 MiB. Throws an Error that says what to type when they can't be had. */
export function takeHugePages(wanted: number, cleanup: Cleanup, file = COUNT_FILE, read = readHugePages): void {
  const before = read();
  if (before.kilobytes !== PAGE_KB) throw new Error(`huge pages are of ${before.kilobytes} kB here, not ${PAGE_KB}`);
  if (before.free >= wanted) return;
  const target = before.total + wanted - before.free;
  const advice = `needs ${wanted} free huge pages of 2 MiB, ${before.free} are: echo ${target} > ${COUNT_FILE}`;
  try {
    writeFileSync(file, String(target));
  } catch {
    throw new Error(advice);
  }
  cleanup.defer('giving back huge pages', () => {
    // Somebody who changed the number in between has the last word.
    if (read().total === now.total) writeFileSync(file, String(before.total));
  });
  const now = read();
  if (now.free < wanted) throw new Error(`${advice} (the kernel found ${now.free}; memory is short or in pieces)`);
}

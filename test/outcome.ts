/**
 * What came out of a run, as plain values: which tests were skipped and why, and whether that may be. Pure, so that it is tested itself;
 * reporter.ts feeds it. A skip's reason is the note of `ctx.skip(note)`, or stands in brackets at the end of a title: `… [needs root]`.
 */

export interface Skipped {
  /** Titles from the outermost suite to the test. */
  readonly titles: readonly string[];
  readonly file: string;
  readonly note: string | undefined;
}

/** A test that failed and then passed. */
export interface Retried {
  readonly titles: readonly string[];
  readonly file: string;
  /** What it said when it failed. */
  readonly why: string;
}

/** More such tests than this in a run are no chance. */
export const RETRIED_MAX = 3;

export interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const BRACKETED = /\[([^[\]]+)\]\s*$|\((?:skipped: )([^()]+)\)\s*$/;

/** Why a test was skipped; undefined when nobody said. The note counts first, then the innermost title. */
export function reasonOf(skipped: Skipped): string | undefined {
  if (skipped.note !== undefined && skipped.note.trim() !== '') return skipped.note.trim();
  for (const title of [...skipped.titles].reverse()) {
    const found = BRACKETED.exec(title);
    if (found !== null) return (found[1] ?? found[2])!.trim();
  }
  return undefined;
}

/** True for what no package cures: the kernel's or the host's limits, and what belongs to `npm run test:all`. */
export function isExcused(reason: string): boolean {
  return /\bthis (?:kernel|host)\b|\btest:all\b/.test(reason);
}

/** One line per reason with how many tests it cost and the files, most tests first. */
export function skipLines(all: readonly Skipped[]): string[] {
  const byReason = new Map<string, { count: number; files: Set<string> }>();
  for (const skipped of all) {
    const reason = reasonOf(skipped) ?? 'no reason given';
    const entry = byReason.get(reason) ?? { count: 0, files: new Set<string>() };
    entry.count++;
    entry.files.add(skipped.file);
    byReason.set(reason, entry);
  }
  return [...byReason.entries()]
    .sort((a, b) => b[1].count - a[1].count)
    .map(([reason, { count, files }]) => `  ${count} × ${reason} (${[...files].sort().join(', ')})`);
}

/** The skips that fail a run with WEFT_REQUIRE=packages: all but the excused ones. */
export function forbiddenSkips(all: readonly Skipped[]): Skipped[] {
  return all.filter((skipped) => !isExcused(reasonOf(skipped) ?? ''));
}

/** One line per test that needed a further try, with the first line of what failed. */
export function retriedLines(all: readonly Retried[]): string[] {
  return all.map(({ file, titles, why }) => `  ${file} > ${titles.join(' > ')}: ${why.split('\n', 1)[0]}`);
}

export function closingLine({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

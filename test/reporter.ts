/**
 * Ends a vitest run with what the default reporter leaves out: every skipped test's reason, every test that passed only when it was tried
 * again, and the line `N passed, N failed, N skipped`. With WEFT_REQUIRE=packages a skip that installed packages should have prevented is a failure.
 */
import type { Reporter, SerializedError, TestCase, TestModule, TestSuite, Vitest } from 'vitest/node';
import {
  closingLine,
  forbiddenSkips,
  RETRIED_MAX,
  type Retried,
  reasonOf,
  retriedLines,
  type Skipped,
  skipLines,
} from './outcome.ts';

function titlesOf(test: TestCase): string[] {
  const titles = [test.name];
  for (let above: TestSuite | TestModule = test.parent; above.type === 'suite'; above = above.parent)
    titles.unshift(above.name);
  return titles;
}

/** The note of a test that was not run: its own, or that a hook above it failed. */
function noteOf(test: TestCase): string | undefined {
  const result = test.result();
  if (result.state !== 'skipped') return 'was never run';
  for (let above: TestSuite | TestModule = test.parent; ; above = above.parent) {
    if (above.errors().length > 0) return 'its set-up failed';
    if (above.type === 'module') return result.note;
  }
}

/** Set-up errors count as one failure each: their tests were never run. */
function setupFailures(module: TestModule): number {
  let failures = module.errors().length > 0 ? 1 : 0;
  for (const suite of module.children.allSuites()) if (suite.errors().length > 0) failures++;
  return failures;
}

export class ClosingReporter implements Reporter {
  private isFiltered = false;
  private readonly print: (text: string) => void;

  constructor(print: (text: string) => void = (text) => void process.stdout.write(text)) {
    this.print = print;
  }

  onInit(vitest: Vitest): void {
    this.isFiltered = vitest.config.testNamePattern !== undefined;
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const skipped: Skipped[] = [];
    const retried: Retried[] = [];
    let passed = 0;
    let failed = unhandled.length;
    for (const module of modules) {
      failed += setupFailures(module);
      for (const test of module.children.allTests()) {
        const { state, errors } = test.result();
        if (test.diagnostic()?.flaky)
          retried.push({ titles: titlesOf(test), file: module.relativeModuleId, why: errors?.[0]?.message ?? '' });
        if (state === 'passed') passed++;
        else if (state === 'failed') failed++;
        else skipped.push({ titles: titlesOf(test), file: module.relativeModuleId, note: noteOf(test) });
      }
    }
    // With -t every other test is "skipped" without a reason; that is the filter, not a gap.
    const told = this.isFiltered ? skipped.filter((one) => reasonOf(one) !== undefined) : skipped;
    const forbidden = process.env.WEFT_REQUIRE === 'packages' ? forbiddenSkips(told) : [];
    if (told.length > 0) this.print(`\nSkipped, and why:\n${skipLines(told).join('\n')}\n`);
    if (forbidden.length > 0) {
      this.print(`\nWEFT_REQUIRE=packages: these must not be skipped here:\n`);
      for (const one of forbidden) this.print(`  ${one.file} > ${one.titles.join(' > ')}\n`);
      process.exitCode = 1;
    }
    failed += forbidden.length;
    if (retried.length > 0) this.print(`\nFailed, and passed when tried again:\n${retriedLines(retried).join('\n')}\n`);
    if (retried.length > RETRIED_MAX) {
      this.print(`more than ${RETRIED_MAX}: the run has failed\n`);
      process.exitCode = 1;
      failed++;
    }
    this.print(`\n${closingLine({ passed, failed, skipped: skipped.length - forbidden.length })}\n`);
  }
}

/**
 * Runs the tests: `npm test` and `npm run test:all` call it once everything is built. Plain JavaScript, as native/ready.mjs is.
 * `--all` runs the long versions too; whatever else is given goes to vitest (file names, -t, --project unit|threads|devices|bonds|alone).
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const vitest = join(root, 'node_modules/vitest/vitest.mjs');
if (!existsSync(vitest)) {
  process.stderr.write('weft: vitest is not installed; run: npm ci\n');
  process.exit(1);
}
const given = process.argv.slice(2);
const env = { ...process.env };
if (given.includes('--all')) env.WEFT_TEST_ALL = '1';
const args = ['run', '--config', 'test/vitest.config.ts', ...given.filter((one) => one !== '--all')];
const done = spawnSync(process.execPath, [vitest, ...args], { cwd: root, env, stdio: 'inherit' });
if (done.error) process.stderr.write(`weft: vitest could not be started: ${done.error.message}\n`);
process.exit(done.status ?? 128 + (constants.signals[done.signal] ?? 0));

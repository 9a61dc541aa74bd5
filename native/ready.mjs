/**
 * Makes a clone ready: npm packages, the addon, dist/. Called by the npm scripts before anything else; what is current is left alone.
 * Plain JavaScript, because nothing is compiled yet. `--quiet` prints only what takes long or fails; `--sanitize=address,undefined`
 * builds the addon with sanitizers into build/sanitize.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const quiet = process.argv.includes('--quiet');

function fail(message) {
  process.stderr.write(`weft: ${message}\n`);
  process.exit(1);
}

function run(what, command, args) {
  process.stderr.write(`weft: ${what} …\n`);
  const started = Date.now();
  const done = spawnSync(command, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  if (done.error) fail(`${what}: ${done.error.message}; is ${command} installed?`);
  if (done.status !== 0) {
    process.stderr.write(done.stdout + done.stderr);
    fail(`${what} failed (exit ${done.status}); the lines above say why`);
  }
  if (!quiet) process.stderr.write(`weft: ${what}: done in ${((Date.now() - started) / 1000).toFixed(1)} s\n`);
}

/** The newest change below a folder, in ms; 0 when it isn't there. */
function newest(path, pattern) {
  if (!existsSync(path)) return 0;
  const stat = statSync(path);
  if (!stat.isDirectory()) return pattern.test(path) ? stat.mtimeMs : 0;
  return Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name), pattern)));
}

function packages() {
  const marker = join(root, 'node_modules/.package-lock.json');
  const lock = join(root, 'package-lock.json');
  if (existsSync(marker) && statSync(marker).mtimeMs >= statSync(lock).mtimeMs) return;
  run('installing npm packages', 'npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund']);
}

function addon() {
  const built = join(root, 'build/Release/weft.node');
  const sources = Math.max(newest(join(root, 'native'), /\.(cc|h)$/), statSync(join(root, 'binding.gyp')).mtimeMs);
  if (existsSync(built) && statSync(built).mtimeMs >= sources) return;
  if (spawnSync('python3', ['--version']).error)
    fail('building the addon needs python3: install it with your package manager');
  if (spawnSync('g++', ['--version']).error)
    fail('building the addon needs a C++ compiler: install g++ with your package manager');
  run('building the addon', process.execPath, [nodeGyp(), 'configure', 'build', '-j', '2', ...headers()]);
}

/** Node's own headers where they lie beside it, so that none are downloaded. */
function headers() {
  const prefix = dirname(dirname(process.execPath));
  return existsSync(join(prefix, 'include/node/node.h')) ? [`--nodedir=${prefix}`] : [];
}

/** npm's own node-gyp, so that none has to be installed. */
function nodeGyp() {
  const npm = spawnSync('npm', ['root', '-g'], { encoding: 'utf8' }).stdout.trim();
  const found = [
    join(npm, 'npm/node_modules/node-gyp/bin/node-gyp.js'),
    '/usr/share/nodejs/node-gyp/bin/node-gyp.js',
  ].find(existsSync);
  if (found === undefined) fail(`no node-gyp beside npm in ${npm}: install npm, or node-gyp`);
  return found;
}

function compile() {
  const main = join(root, 'dist/control/cli/main.js');
  const sources = Math.max(
    ...['dataplane', 'native', 'control', 'bench', 'test', 'deploy'].map((folder) =>
      newest(join(root, folder), /\.ts$/),
    ),
    statSync(join(root, 'tsconfig.json')).mtimeMs,
  );
  const stamp = join(root, 'build/tsconfig.tsbuildinfo');
  if (existsSync(main) && existsSync(stamp) && statSync(stamp).mtimeMs >= sources) return;
  mkdirSync(join(root, 'build'), { recursive: true });
  run('compiling TypeScript', process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', root]);
  if (existsSync(main)) chmodSync(main, 0o755);
}

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19))
  fail(`Node ${process.versions.node} is too old: Weft needs 20.19 or newer`);
if (process.platform !== 'linux') fail(`Weft runs on Linux only; this is ${process.platform}`);
packages();
addon();
compile();

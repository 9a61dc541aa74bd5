/**
 * Makes a clone ready: npm packages, the addon, dist/. Called by the npm scripts before anything else; what is current is left alone.
 * Plain JavaScript, because nothing is compiled yet. `--quiet` prints only what takes long or fails; `--sanitize=address,undefined`
 * builds the addon once more, with sanitizers, below build/sanitize, and nothing else.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const quiet = process.argv.includes('--quiet');

function fail(message) {
  process.stderr.write(`weft: ${message}\n`);
  process.exit(1);
}

function run(what, command, args, { cwd = root, env = process.env } = {}) {
  process.stderr.write(`weft: ${what} …\n`);
  const started = Date.now();
  const done = spawnSync(command, args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
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
  compilers();
  run('building the addon', process.execPath, [nodeGyp(), 'configure', 'build', '-j', '2', ...headers()]);
}

function compilers() {
  if (spawnSync('python3', ['--version']).error)
    fail('building the addon needs python3: install it with your package manager');
  if (spawnSync('g++', ['--version']).error)
    fail('building the addon needs a C++ compiler: install g++ with your package manager');
}

/** node-gyp builds beside binding.gyp only: a folder of links is another such place, with flags of its own. */
function sanitizedAddon(kinds) {
  const cwd = join(root, 'build/sanitize');
  mkdirSync(cwd, { recursive: true });
  for (const name of ['binding.gyp', 'native', 'node_modules', 'package.json']) {
    rmSync(join(cwd, name), { force: true });
    symlinkSync(join('../..', name), join(cwd, name));
  }
  compilers();
  const env = { ...process.env, CXXFLAGS: '-O1 -g1 -fno-sanitize-recover=all' };
  run('configuring', process.execPath, [nodeGyp(), 'configure', ...headers(), '--', `-Dsanitize=${kinds}`], { cwd });
  run(`building the addon with sanitizers: ${kinds}`, process.execPath, [nodeGyp(), 'build', '-j', '2'], { cwd, env });
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
    statSync(join(root, 'native/compile.mjs')).mtimeMs,
  );
  const stamp = join(root, 'build/compiled');
  if (existsSync(main) && existsSync(stamp) && statSync(stamp).mtimeMs >= sources) return;
  mkdirSync(join(root, 'build'), { recursive: true });
  run('compiling TypeScript', process.execPath, [join(root, 'native/compile.mjs'), root]);
  writeFileSync(stamp, '');
  if (existsSync(main)) chmodSync(main, 0o755);
}

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19))
  fail(`Node ${process.versions.node} is too old: Weft needs 20.19 or newer`);
if (process.platform !== 'linux') fail(`Weft runs on Linux only; this is ${process.platform}`);
packages();
const sanitize = process.argv.find((one) => one.startsWith('--sanitize='));
if (sanitize === undefined) {
  addon();
  compile();
} else {
  sanitizedAddon(sanitize.slice(sanitize.indexOf('=') + 1));
}

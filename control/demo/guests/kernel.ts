/**
 * Where a guest's kernel comes from: what WEFT_GUEST_KERNEL names, one that was fetched before, the kernel of this machine, or Debian's cloud
 * kernel by `apt-get download` (no root needed, nothing is installed). Used by image.ts. It changes nothing outside its folder.
 */
import { accessSync, constants, existsSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { WeftError } from '../../errors.ts';
import { guestModules } from './modules.ts';

export interface Kernel {
  /** As in the name of its file: 6.1.0-18-cloud-amd64. */
  readonly release: string;
  readonly file: string;
  /** Where its modules lie: …/lib/modules/RELEASE. */
  readonly modules: string;
}

/** A package without drivers of real hardware: a quarter of the size, and it boots faster. */
const META_PACKAGE = 'linux-image-cloud-amd64';
const NAME = 'vmlinuz-';
const FETCH_MS = 120_000;

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** The newest kernel in the folder of a system: `boot/vmlinuz-*` with `lib/modules/*`; null when it has none that can be read. */
export function kernelIn(root: string): Kernel | null {
  const boot = join(root, 'boot');
  if (!isReadable(boot)) return null;
  const newestFirst = new Intl.Collator('en', { numeric: true }).compare;
  const releases = readdirSync(boot)
    .filter((name) => name.startsWith(NAME))
    .map((name) => name.slice(NAME.length))
    .sort((a, b) => newestFirst(b, a));
  for (const release of releases) {
    const file = join(boot, NAME + release);
    const modules = [join(root, 'lib/modules', release), join(root, 'usr/lib/modules', release)].find(isReadable);
    if (isReadable(file) && modules !== undefined) return { release, file, modules };
  }
  return null;
}

function named(file: string): Kernel {
  const release = basename(file).replace(/^vmlinuz-/, '');
  const modules = process.env.WEFT_GUEST_MODULES ?? join('/lib/modules', release);
  for (const path of [file, modules]) {
    if (!isReadable(path)) throw new WeftError('guest-kernel', `WEFT_GUEST_KERNEL is set, but ${path} can’t be read`);
  }
  return { release, file, modules };
}

async function fetched(folder: string): Promise<Kernel> {
  const work = mkdtempSync(join(folder, 'fetch-'));
  try {
    const options = { cwd: work, timeout: FETCH_MS } as const;
    const { stdout } = await execa('apt-cache', ['depends', META_PACKAGE], options);
    const name = /Depends: (linux-image-\S+)/.exec(stdout)?.[1];
    if (name === undefined) throw new Error(`apt-cache knows no ${META_PACKAGE}; apt-get update may help`);
    await execa('apt-get', ['download', '-q=2', name], options);
    const file = readdirSync(work).find((one) => one.endsWith('.deb'));
    if (file === undefined) throw new Error(`apt-get download ${name} left no file`);
    await execa('dpkg-deb', ['-x', file, 'system'], options);
    const system = join(folder, name);
    if (!existsSync(system)) renameSync(join(work, 'system'), system);
    const kernel = kernelIn(system);
    if (kernel === null) throw new Error(`there is no kernel in ${name}`);
    return kernel;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function stored(folder: string): Kernel | null {
  if (!existsSync(folder)) return null;
  const systems = readdirSync(folder).filter((name) => name.startsWith('linux-image-'));
  const kernels = systems.map((name) => kernelIn(join(folder, name))).filter((kernel) => kernel !== null);
  return kernels.at(-1) ?? null;
}

/** This machine's own, if its modules can be used. */
function own(): Kernel | null {
  const kernel = kernelIn('/');
  try {
    return kernel !== null && guestModules(kernel.modules).length > 0 ? kernel : null;
  } catch {
    return null;
  }
}

/** A kernel that is there already: named, fetched before, or this machine's; null when there is none. */
export function kernelAtHand(folder: string): Kernel | null {
  const wanted = process.env.WEFT_GUEST_KERNEL;
  if (wanted !== undefined && wanted !== '') return named(wanted);
  return stored(folder) ?? own();
}

/** A kernel for guests; `folder`, which is there, keeps what is fetched. Throws a WeftError that says what would help when there is none. */
export async function findKernel(folder: string): Promise<Kernel> {
  const found = kernelAtHand(folder);
  if (found !== null) return found;
  try {
    return await fetched(folder);
  } catch (error) {
    const why = (error instanceof Error ? error.message : String(error)).split('\n')[0];
    throw new WeftError(
      'guest-kernel',
      `no kernel for guests: /boot has none that can be used, and ${META_PACKAGE} could not be fetched (${why}); ` +
        'set WEFT_GUEST_KERNEL to a vmlinuz whose modules are in /lib/modules or in WEFT_GUEST_MODULES',
    );
  }
}

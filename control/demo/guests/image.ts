/**
 * A guest that boots in seconds: a kernel, and a root file system in memory with busybox and the few modules that it needs. Made once, by an
 * ordinary user, in the user's cache folder; made anew when its parts changed. Used by the demo and by the tests; main thread.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { WeftError } from '../../errors.ts';
import { archive, type Entry, EntryMode } from './cpio.ts';
import { INIT, MODULES_FILE } from './init.ts';
import { findKernel } from './kernel.ts';
import { guestModules, type Module } from './modules.ts';

export interface Image {
  readonly release: string;
  readonly kernel: string;
  readonly initrd: string;
}

/** Where kernels and images are kept: WEFT_GUEST_CACHE, or a folder of the user's cache. */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const { WEFT_GUEST_CACHE: own, XDG_CACHE_HOME: cache } = environment;
  return own || join(cache || join(homedir(), '.cache'), 'weft-guests');
}

const PT_INTERP = 3;
const FOLDERS = ['bin', 'dev', 'lib', 'lib/modules', 'proc', 'run', 'sys'];

function rootEntries(busybox: Uint8Array, modules: readonly Module[]): Entry[] {
  const order = modules.map(({ name }) => `${name}.ko\n`).join('');
  return [
    ...FOLDERS.map((path) => ({ path, mode: EntryMode.FOLDER })),
    { path: 'init', mode: EntryMode.PROGRAM, data: Buffer.from(INIT) },
    { path: 'bin/busybox', mode: EntryMode.PROGRAM, data: busybox },
    { path: MODULES_FILE, mode: EntryMode.FILE, data: Buffer.from(order) },
    ...modules.map(({ name, bytes }) => ({ path: `lib/modules/${name}.ko`, mode: EntryMode.FILE, data: bytes })),
  ];
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new WeftError('guest-image', `nowhere to keep guests’ images (${why}); WEFT_GUEST_CACHE may name a folder`);
  }
}

/** A guest has no libraries. A program that wants some names its loader (PT_INTERP, ELF-64's program headers). */
export function isStatic(program: Buffer): boolean {
  const [at, bytes, count] = [
    Number(program.readBigUInt64LE(0x20)),
    program.readUInt16LE(0x36),
    program.readUInt16LE(0x38),
  ];
  for (let k = 0; k < count; k++) if (program.readUInt32LE(at + k * bytes) === PT_INTERP) return false;
  return true;
}

/** The image, made when it isn't there. `busybox` is the path of a static busybox. Throws a WeftError when no kernel can be had. */
export async function guestImage(busybox: string, folder = cacheFolder()): Promise<Image> {
  makeFolder(folder);
  const { release, file, modules } = await findKernel(folder);
  const shell = readFileSync(busybox);
  if (!isStatic(shell))
    throw new WeftError(
      'guest-image',
      `guests need a static busybox, and ${busybox} is none (apt-get install busybox-static)`,
    );
  const root = archive(rootEntries(shell, guestModules(modules)));
  const digest = createHash('sha256').update(root).digest('hex').slice(0, 16);
  const initrd = join(folder, `initrd-${release}-${digest}.gz`);
  if (!existsSync(initrd)) {
    // Under another name first: several processes may make it at once.
    const part = `${initrd}.${process.pid}`;
    writeFileSync(part, gzipSync(root, { level: 1 }));
    renameSync(part, initrd);
  }
  return { release, kernel: file, initrd };
}

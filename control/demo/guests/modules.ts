/**
 * Which of a kernel's modules a guest needs, and in which order they load: what each names in its own `depends=`, as depmod reads it.
 * Used by image.ts; reads files, writes none. What is built into a kernel has no file and is left out.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { WeftError } from '../../errors.ts';

/** Virtio over PCI with its port for commands and its network card, and VLAN devices. virtio_pci names the first two only in newer kernels. */
const WANTED = [
  'virtio_pci_modern_dev',
  'virtio_pci_legacy_dev',
  'virtio_pci',
  'virtio_console',
  'virtio_net',
  '8021q',
];
const SUFFIX = /\.ko(\.xz)?$/;

export interface Module {
  readonly name: string;
  /** Not compressed any more. */
  readonly bytes: Uint8Array;
}

/** File names write `-` where the kernel writes `_`, or not. */
function nameOf(file: string): string {
  return basename(file).replace(SUFFIX, '').replaceAll('-', '_');
}

function read(file: string): Buffer {
  if (!file.endsWith('.xz')) return readFileSync(file);
  return execFileSync('busybox', ['xzcat', file], { maxBuffer: 64 << 20 });
}

/** Modules that a module must find loaded. */
export function dependenciesOf(module: Uint8Array): string[] {
  const text = Buffer.from(module).toString('latin1');
  const names = /\0depends=([^\0]*)\0/.exec(text)?.[1] ?? '';
  return names.split(',').filter((name) => name !== '');
}

/** The modules of `folder` (…/lib/modules/RELEASE) for a guest, each after those that it needs. */
export function guestModules(folder: string, wanted: readonly string[] = WANTED): Module[] {
  const files = new Map<string, string>();
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (SUFFIX.test(file)) files.set(nameOf(file), join(folder, file));
  }
  const builtIn = new Set(readFileSync(join(folder, 'modules.builtin'), 'utf8').split('\n').map(nameOf));
  const order = new Map<string, Module>();
  const add = (name: string): void => {
    if (order.has(name)) return;
    const file = files.get(name);
    if (file === undefined) {
      if (builtIn.has(name)) return;
      throw new WeftError('guest-kernel', `the kernel of ${folder} has no module ${name} that can be read`);
    }
    const bytes = read(file);
    for (const needed of dependenciesOf(bytes)) add(needed.replaceAll('-', '_'));
    order.set(name, { name, bytes });
  };
  for (const name of wanted) add(name);
  return [...order.values()];
}

/**
 * What a test needs from the machine, so that a test that can't run here says why. Skips end up, with their reasons, at the end of every
 * run (reporter.ts); where packages were installed on purpose a missing one is a failure. Nothing here changes the machine.
 */
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'vitest';
import { cacheFolder } from '../control/demo/guests/image.ts';
import { kernelAtHand } from '../control/demo/guests/kernel.ts';

export interface Requirements {
  /** Root with the capabilities to make devices and namespaces. */
  readonly root?: boolean;
  /** /dev/net/tun. */
  readonly tun?: boolean;
  /** Commands that must be found. */
  readonly tools?: readonly string[];
  /** The built addon. */
  readonly addon?: boolean;
  /** Takes so long that only `npm run test:all` runs it. */
  readonly long?: boolean;
  /** What the caller found missing, or null; begin with "this kernel" or "this host" when no package cures it. */
  readonly because?: string | null;
}

/** What a test with QEMU guests needs. Tests fetch no kernel: whoever wants them to run does, once. */
export const GUESTS = {
  tools: ['qemu-system-x86_64', 'busybox'],
  get because(): string | null {
    return kernelAtHand(cacheFolder()) === null ? 'needs a kernel for guests: node test/guests/prepare.mjs' : null;
  },
} as const;

/** The Debian package of a command, where it has another name. */
const PACKAGES: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  bridge: 'iproute2',
  tc: 'iproute2',
  ss: 'iproute2',
  ping: 'iputils-ping',
  arping: 'iputils-arping',
  nft: 'nftables',
  trafgen: 'netsniff-ng',
  'ovs-vsctl': 'openvswitch-switch',
  'ovs-ofctl': 'openvswitch-switch',
  'ovs-appctl': 'openvswitch-switch',
  'ovs-vswitchd': 'openvswitch-switch',
  'ovsdb-server': 'openvswitch-switch',
  'ovsdb-tool': 'openvswitch-switch',
  vde_switch: 'vde2',
  vde_plug2tap: 'vde2',
  vde_plug: 'vde2',
  promtool: 'prometheus',
  'qemu-system-x86_64': 'qemu-system-x86',
  busybox: 'busybox-static',
  'dpdk-testpmd': 'dpdk-dev',
  ps: 'procps',
  sysctl: 'procps',
};

const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin'];
const CAP_NET_ADMIN = 12;
const CAP_SYS_ADMIN = 21;

/** Where a command lies, also in the folders that a user's PATH leaves out; null when it isn't there. */
export function findTool(name: string, path = process.env.PATH ?? ''): string | null {
  for (const folder of [...path.split(delimiter), ...SYSTEM_FOLDERS]) {
    if (folder === '') continue;
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      if (statSync(file).isFile()) return file;
    } catch {
      // Not in this folder.
    }
  }
  return null;
}

/** Why this process can't make devices, or null. `status` is the text of /proc/self/status. */
export function rootReason(uid: number, status: string): string | null {
  if (uid !== 0) return 'needs root';
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const lacks = (bit: number) => ((effective >> BigInt(bit)) & 1n) === 0n;
  if (lacks(CAP_NET_ADMIN)) return 'this host gives root no CAP_NET_ADMIN';
  return lacks(CAP_SYS_ADMIN) ? 'this host gives root no CAP_SYS_ADMIN, so no network namespaces' : null;
}

function toolReason(name: string): string | null {
  return findTool(name) === null ? `needs ${name}: apt-get install ${PACKAGES[name] ?? name}` : null;
}

function addonReason(): string | null {
  const folder = process.env.WEFT_ADDON ?? fileURLToPath(new URL('../build/Release', import.meta.url));
  return existsSync(join(folder, 'weft.node')) ? null : 'needs the addon: npm run build';
}

/** True in `npm run test:all`. */
export function isLong(): boolean {
  return process.env.WEFT_TEST_ALL === '1';
}

/** Everything that is missing, in one sentence; null when nothing is. */
export function needs(wanted: Requirements): string | null {
  const missing: string[] = [];
  const note = (reason: string | null | undefined) => {
    if (reason) missing.push(reason);
  };
  if (wanted.long && !isLong()) note('takes long: npm run test:all');
  if (wanted.root) note(rootReason(process.getuid?.() ?? -1, readFileSync('/proc/self/status', 'utf8')));
  if (wanted.tun) note(existsSync('/dev/net/tun') ? null : 'this host has no /dev/net/tun');
  if (wanted.addon) note(addonReason());
  for (const tool of wanted.tools ?? []) note(toolReason(tool));
  note(wanted.because);
  return missing.length === 0 ? null : missing.join('; ');
}

/** `it`, or a skipped test with the reason in its title. */
export function itNeeds(wanted: Requirements, title: string, run: Parameters<typeof it>[2], timeoutMs?: number): void {
  const reason = needs(wanted);
  if (reason === null) it(title, { timeout: timeoutMs }, run);
  else it.skip(`${title} [${reason}]`, run);
}

/** `describe`, or a skipped one with the reason in its title. Its body runs all the same: what makes devices belongs into hooks and tests. */
export function describeNeeds(wanted: Requirements, title: string, body: () => void): void {
  const reason = needs(wanted);
  if (reason === null) describe(title, body);
  else describe.skip(`${title} [${reason}]`, body);
}

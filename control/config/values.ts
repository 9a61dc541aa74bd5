/**
 * The scalar values of a document, each as a zod schema whose message says what was found and what is allowed.
 * Called by document.ts and the schemas of single kinds. Nothing here changes a value: a document stays as its author wrote it.
 */
import { BlockList, isIP, isIPv4 } from 'node:net';
import { z } from 'zod';
import { normalMac, notUnicast, reservedIndex } from '../model/mac.ts';
import { parseVlanRange } from '../model/vlan-set.ts';

export const FDB_LIMIT_MAX = 1_000_000;
export const DEVICE_NAME_MAX = 15;
/** Seconds; the database keeps when an address was last seen as 16 bits of seconds, and looks at it once a second. */
export const AGEING_MAX = 65_000;
/** A TAP's own upper bound: 65,535 less a 14-byte header. */
export const MTU_MAX = 65_521;
export const MTU_MIN = 68;
/** Queue pairs of a guest: more than workers there can be serve nobody. */
export const QUEUES_MAX = 16;
const SOCKET_BYTES_MAX = 107;
const NAME_MAX = 63;

/** A schema that adds one message where `wrong` answers one. */
export function checked<T extends z.ZodType>(base: T, wrong: (value: z.output<T>) => string | null): T {
  return base.superRefine((value, context) => {
    const message = wrong(value as z.output<T>);
    if (message !== null) context.addIssue({ code: 'custom', message });
  }) as T;
}

/**
 * A strict object. For an unknown key the issue's message carries `what|key,key,…`, from which problems.ts makes a
 * sentence with the nearest allowed key: zod's issue itself does not know the schema's keys.
 */
export function strict<S extends z.ZodRawShape>(what: string, shape: S) {
  const allowed = `${what}|${Object.keys(shape).join(',')}`;
  return z.strictObject(shape, { error: (issue) => (issue.code === 'unrecognized_keys' ? allowed : undefined) });
}

/** `65,536`. Not by toLocaleString, whose first call takes 12 ms for locale data (measured 2026-11, Node 20). */
function grouped(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `unit` follows the range in the message: ` bytes`. */
export function integer(min: number, max: number, unit = ''): z.ZodNumber {
  const allowed = `a whole number, ${grouped(min)}–${grouped(max)}${unit}`;
  return checked(z.number(), (value) =>
    Number.isInteger(value) && value >= min && value <= max ? null : `${value} is not allowed (${allowed})`,
  );
}

/** Milliseconds between two events that come again and again; 0 is never. */
export function intervalValue(min: number, max: number): z.ZodNumber {
  const allowed = `a whole number, ${grouped(min)}–${grouped(max)} ms, or 0 for never`;
  return checked(z.number(), (value) =>
    value === 0 || (Number.isInteger(value) && value >= min && value <= max)
      ? null
      : `${value} is not allowed (${allowed})`,
  );
}

/** Names of bridges and ports: they meet in `weft:bridge/port`, in labels and on command lines. */
export const nameValue = checked(z.string(), (name) => {
  if (name.length === 0 || name.length > NAME_MAX) return `"${name}" has ${name.length} characters (1–${NAME_MAX})`;
  return /^[A-Za-z0-9][A-Za-z0-9_.:-]*$/.test(name)
    ? null
    : `"${name}" is not a name (letters, digits and _ . : -, starting with a letter or digit)`;
});

/** What is wrong with the name of a network device, or null: the kernel's dev_valid_name, and `%`, which it expands. */
export function wrongDeviceName(name: string): string | null {
  if (name.length === 0) return 'is empty (1–15 characters)';
  if (Buffer.byteLength(name) > DEVICE_NAME_MAX) {
    return `"${name}" has ${Buffer.byteLength(name)} characters (a device name has at most ${DEVICE_NAME_MAX})`;
  }
  if (name === '.' || name === '..') return `"${name}" is not a device name`;
  return /^[!-~]+$/.test(name) && !/[/:%"'\\#]/.test(name) && !name.startsWith('-')
    ? null
    : `"${name}" is not a device name (no spaces and none of / : % " ' \\ #, not starting with -)`;
}

export const deviceValue = checked(z.string(), wrongDeviceName);

export const netnsValue = checked(z.string(), (name) =>
  /^[A-Za-z0-9_.@+:-]{1,255}$/.test(name) && name !== '.' && name !== '..' && !name.startsWith('-')
    ? null
    : `"${name}" is not the name of a namespace (as \`ip netns list\` shows it)`,
);

export const macValue = checked(z.string(), (text) => {
  const mac = normalMac(text);
  if (mac === null) return `"${text}" is not a MAC address (as 02:00:00:00:00:01)`;
  const why = notUnicast(mac);
  return why === null ? null : `${mac} ${why}`;
});

export const reservedValue = checked(z.string(), (text) =>
  reservedIndex(text) >= 0 ? null : `"${text}" is not a reserved address (01-80-C2-00-00-00 to 01-80-C2-00-00-0F)`,
);

/** What is wrong with an interface address, or null. */
export function wrongAddress(text: string): string | null {
  const [address, prefix, ...rest] = text.split('/');
  const family = isIP(address ?? '');
  if (family === 0 || rest.length > 0) return `"${text}" is not an address with a prefix (as 10.0.0.2/24)`;
  const longest = family === 4 ? 32 : 128;
  if (prefix === undefined) return `"${text}" has no prefix (as ${text}/${family === 4 ? 24 : 64})`;
  return /^\d{1,3}$/.test(prefix) && Number(prefix) <= longest
    ? null
    : `"${text}" has the prefix ${prefix === '' ? 'nothing' : prefix} (0–${longest})`;
}

export const addressValue = checked(z.string(), wrongAddress);

export const hostAddressValue = checked(z.string(), (text) =>
  isIP(text) !== 0 ? null : `"${text}" is not an IPv4 or IPv6 address (without a prefix)`,
);

/** 0.0.0.0/8, 127.0.0.0/8, groups, the reserved rest with broadcast; ::, ::1, groups. */
const NO_STATIONS = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
  ['224.0.0.0', 3],
] as const)
  NO_STATIONS.addSubnet(network, prefix, 'ipv4');
for (const [network, prefix] of [
  ['::', 127],
  ['ff00::', 8],
] as const)
  NO_STATIONS.addSubnet(network, prefix, 'ipv6');

/** The address of one host on a link, without prefix and without zone. */
export const stationValue = checked(z.string(), (text) => {
  const family = isIP(text);
  if (family === 0 || text.includes('%'))
    return `"${text}" is not an IPv4 or IPv6 address (without a prefix or a zone, as 10.0.0.9 or fe80::1)`;
  return NO_STATIONS.check(text, family === 4 ? 'ipv4' : 'ipv6')
    ? `${text} is not the address of one host on a link`
    : null;
});

export const tagValue = checked(z.number(), (tag) =>
  Number.isInteger(tag) && tag >= 1 && tag <= 4094 ? null : `${tag} is not a VLAN (1–4094)`,
);

export const vlanItemValue = z.union([z.number(), z.string()]).superRefine((item, context) => {
  const result = parseVlanRange(item);
  if ('problem' in result) context.addIssue({ code: 'custom', message: result.problem });
});

export const vlanListValue = z.array(vlanItemValue).min(1);

const SPEED = /^(\d+(?:\.\d+)?)\s*([kMGT]?)$/;
const SPEED_UNITS: Readonly<Record<string, number>> = { '': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12 };

/** Bits per second of a written speed (`10G`, `2.5G`, `100M`, or plain bits per second), or null. */
export function parseSpeed(text: string | number): number | null {
  const match = SPEED.exec(String(text));
  if (match === null) return null;
  const bits = Math.round(Number(match[1]) * SPEED_UNITS[match[2]!]!);
  return bits >= 1 && bits <= 1e15 ? bits : null;
}

export const speedValue = z.union([z.number(), z.string()]).superRefine((speed, context) => {
  if (parseSpeed(speed) !== null) return;
  context.addIssue({ code: 'custom', message: `"${speed}" is not a speed (as 10G, 2.5G or 100M, in bits per second)` });
});

export const socketValue = checked(z.string(), (path) => {
  if (!path.startsWith('/')) return `"${path}" is not an absolute path`;
  if (path.endsWith('/') || path.includes('\0')) return `${JSON.stringify(path)} is not the path of a file`;
  return Buffer.byteLength(path) <= SOCKET_BYTES_MAX
    ? null
    : `the path has ${Buffer.byteLength(path)} bytes (a unix socket's has at most ${SOCKET_BYTES_MAX})`;
});

/** The name of a group of users, as shadow(5)'s tools take it. */
export const groupValue = checked(z.string(), (name) =>
  /^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/.test(name) ? null : `"${name}" is not the name of a group (as kvm)`,
);

/** Host and port of `127.0.0.1:9475`, `[::1]:9475` or `localhost:9475`, or null. */
export function parseListen(text: string): { host: string; port: number } | null {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text);
  if (match === null || Number(match[3]) > 65_535) return null;
  const host = match[1] ?? match[2]!;
  if (match[1] !== undefined && isIP(host) !== 6) return null;
  return /^[\d.]+$/.test(host) && !isIPv4(host) ? null : { host, port: Number(match[3]) };
}

export const listenValue = checked(z.string(), (text) =>
  parseListen(text) !== null ? null : `"${text}" is not an address with a port (as 127.0.0.1:9475 or [::1]:9475)`,
);

export const peerValue = checked(z.string(), (peer) =>
  /^[^/\s]+\/[^/\s]+$/.test(peer) ? null : `"${peer}" is not a port of a bridge (as br1/to-br0)`,
);

export const fileValue = checked(z.string(), (path) =>
  path.length > 0 && !path.includes('\0') ? null : 'is not a file name',
);

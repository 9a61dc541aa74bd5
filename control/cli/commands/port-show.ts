/**
 * `weft port show`: all that is known of one port, or what QEMU or libvirt must be told so that a guest is at it. What was asked for is on
 * standard output, so that `qemu-system-x86_64 … $(weft port show vm1 --qemu)` works; remarks are on standard error.
 */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { PortDetail } from '../../switch.ts';
import { type Context, clientOf, examples } from '../context.ts';
import { type GuestText, qemuArguments } from '../guest-qemu.ts';
import { type Io, note, paint, print, printJson } from '../io.ts';
import { findPort } from '../ports.ts';
import { formatBitRate, formatBytes, formatCount } from '../units.ts';

interface ShowOptions {
  readonly json?: boolean;
  readonly qemu?: boolean;
  readonly libvirt?: boolean;
  readonly memory: string;
}

function memorySize(text: string): string {
  if (!/^[1-9]\d*[KMGT]$/.test(text)) throw new InvalidArgumentError('It is not a size as QEMU writes it (512M, 2G).');
  return text;
}

function counts({ frames, bytes }: PortDetail['receive']): string {
  return `${formatCount(frames)} frames, ${formatBytes(bytes)}`;
}

function losses(lost: Readonly<Record<string, number>>): string {
  return Object.entries(lost)
    .map(([reason, frames]) => `${reason} ${formatCount(frames)}`)
    .join(', ');
}

function settingText(value: PortDetail['settings'][string]): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return Array.isArray(value) ? value.join(', ') : String(value ?? '');
}

/** Name and value of each line; what is empty is left out. */
function linesOf(port: PortDetail): [string, string][] {
  const settings = Object.entries(port.settings).map(([key, value]): [string, string] => [key, settingText(value)]);
  const all: [string, string][] = [
    ['kind', port.kind],
    ['device', port.device ?? ''],
    ['namespace', port.netns ?? ''],
    ['socket', port.socket ?? ''],
    ...settings,
    ['vlan', port.vlan],
    ['mtu', String(port.mtu)],
    ['speed', port.speed === null ? '' : formatBitRate(port.speed)],
    ['received', counts(port.receive)],
    ['transmitted', counts(port.transmit)],
    ['missed', losses(port.missed)],
    ['dropped', losses(port.dropped)],
    ['addresses', formatCount(port.fdbEntries)],
  ];
  return all.filter(([, value]) => value !== '');
}

function printPort(io: Io, port: PortDetail): void {
  const state = port.up ? paint(io, 'green', 'up') : `${paint(io, 'red', 'down')}: ${port.reason ?? 'unknown'}`;
  print(io, `${port.bridge}/${port.name} is ${state}`);
  const lines = linesOf(port);
  const details = Object.entries(port.details);
  const width = Math.max(...[...lines, ...details].map(([name]) => name.length));
  for (const [name, value] of lines) print(io, `  ${name.padEnd(width)}  ${value}`);
  if (details.length > 0) print(io, 'the other side');
  for (const [name, value] of details) print(io, `  ${name.padEnd(width)}  ${value}`);
}

function printGuest(io: Io, { lines, remarks }: GuestText): void {
  for (const line of lines) print(io, line);
  for (const remark of remarks) note(io, `# ${remark}`);
}

async function show(context: Context, text: string, options: ShowOptions, self: Command): Promise<void> {
  const { io } = context;
  const client = clientOf(context, self);
  const { bridge, port: name } = await findPort(client, text);
  const path = `/v1/bridges/${encodeURIComponent(bridge)}/ports/${encodeURIComponent(name)}`;
  const port = await client.get<PortDetail>(path);
  if (options.qemu === true) printGuest(io, qemuArguments(port, options.memory));
  else if (options.libvirt === true) printGuest(io, (await import('../guest-libvirt.ts')).libvirtXml(port));
  else if (options.json === true) printJson(io, port);
  else printPort(io, port);
}

export function addPortShow(parent: Command, context: Context): void {
  const command = parent
    .command('show')
    .description('show one port: state, settings, its other side, counters; or how a guest is attached to it')
    .argument('<port>', 'as br0/web, or web where only one bridge has it')
    .option('--json', 'the API’s JSON, with every field')
    .addOption(new Option('--qemu', 'the arguments that QEMU needs, one option a line').conflicts(['libvirt', 'json']))
    .addOption(new Option('--libvirt', 'the XML that a libvirt domain needs').conflicts(['qemu', 'json']))
    .option('--memory <size>', 'with --qemu, vhost-user: memory of the guest', memorySize, '1G')
    .action((port: string, options: ShowOptions, self: Command) => show(context, port, options, self));
  examples(
    command,
    ['port show web', 'state, settings and counters'],
    ['port show br0/vm1 --qemu --memory 4G', 'QEMU’s arguments'],
    ['port show vm1 --libvirt', '<interface> of a libvirt domain'],
  );
}

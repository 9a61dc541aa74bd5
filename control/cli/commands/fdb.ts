/**
 * `weft fdb add|del|flush`: entries of the forwarding database that no frame taught, and forgetting those that frames did.
 */
import { isIP } from 'node:net';
import { type Command, InvalidArgumentError } from 'commander';
import { RequestError } from '../../errors.ts';
import type { FdbRow } from '../../switch.ts';
import type { TunnelRow } from '../../tunnel-rows.ts';
import { type Client, query } from '../client.ts';
import { type Context, clientOf, examples } from '../context.ts';
import { note, print, printJson } from '../io.ts';
import { findPort, splitPort } from '../ports.ts';
import { chooseTunnel, farEntry } from '../tunnel-choice.ts';

const MAC = /^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i;

function vlanNumber(text: string): number {
  const vlan = Number(text);
  if (!/^\d+$/.test(text) || vlan > 4094)
    throw new InvalidArgumentError('It is not a VLAN (1–4094, or 0 for frames without a tag).');
  return vlan;
}

function networkNumber(text: string): number {
  const vni = Number(text);
  if (!/^\d+$/.test(text) || vni > 0xff_ffff) throw new InvalidArgumentError('It is not a VNI (0–16777215).');
  return vni;
}

function ipAddress(text: string): string {
  if (isIP(text) === 0 || text.includes('%'))
    throw new InvalidArgumentError('It is not an IPv4 or IPv6 address (as 192.0.2.2).');
  return text;
}

interface AddOptions {
  readonly vlan?: number;
  readonly sticky?: boolean;
  readonly port?: string;
  readonly remote?: string;
  readonly vni?: number;
}

/** `PORT MAC`, `MAC --port PORT`, or `MAC --remote ADDRESS`, where a tunnel is found for it. Throws a RequestError for what is none of them. */
function placeOf(words: readonly string[], options: AddOptions): { mac: string; port: string | undefined } {
  const [first = '', second] = words;
  if (second === undefined) {
    if (!MAC.test(first))
      throw new RequestError('no-address', `"${first}" is not a MAC address`, 'write `weft fdb add PORT MAC`');
    if (options.port === undefined && options.remote === undefined)
      throw new RequestError('no-port', `where does ${first} live?`, 'name its port, or the --remote behind a tunnel');
    return { mac: first, port: options.port };
  }
  if (options.port !== undefined)
    throw new RequestError('two-ports', `two ports are named: ${first} and ${options.port}`, 'leave one of them out');
  return { mac: second, port: first };
}

/** What is asked of the daemon, beside address and type. */
async function entryOf(client: Client, port: string | undefined, options: AddOptions) {
  const { remote, vni, vlan } = options;
  if (remote !== undefined) {
    const tunnels = await client.get<TunnelRow[]>('/v1/tunnels');
    const far = { remote, vni, vlan };
    return farEntry(chooseTunnel(tunnels, port, far), far);
  }
  if (vni !== undefined)
    throw new RequestError('unfit-option', `--vni ${vni} is of frames to a remote`, 'name the remote with --remote');
  return { ...(await findPort(client, port!)), vlan, remote, vni };
}

async function add(context: Context, words: readonly string[], options: AddOptions, self: Command): Promise<void> {
  const client = clientOf(context, self);
  const { mac, port: named } = placeOf(words, options);
  const { bridge, port, vlan, remote, vni } = await entryOf(client, named, options);
  const type = options.sticky === true ? 'sticky' : 'static';
  await client.send('POST', `/v1/bridges/${encodeURIComponent(bridge)}/fdb`, { mac, vlan, port, type, remote, vni });
  const behind = remote === undefined ? '' : `, behind ${remote}${vni === undefined ? '' : ` by VNI ${vni}`}`;
  const inVlan = vlan === undefined ? '' : ` in VLAN ${vlan}`;
  note(context.io, `${mac}${inVlan} lives at ${bridge}/${port}${behind} (${type})`);
}

async function del(
  context: Context,
  bridge: string,
  mac: string,
  options: { vlan?: number },
  self: Command,
): Promise<void> {
  const client = clientOf(context, self);
  const vlan = options.vlan ?? (await vlanOf(client, bridge, mac));
  await client.send('DELETE', `/v1/bridges/${encodeURIComponent(bridge)}/fdb${query({ vlan, mac })}`);
  note(context.io, `${mac} in VLAN ${vlan} is forgotten`);
}

/** The VLAN in which a bridge has an address. Throws a RequestError when that is several; 0 when it has none, which the daemon then says. */
async function vlanOf(client: Client, bridge: string, mac: string): Promise<number> {
  const found = await client.get<FdbRow[]>(`/v1/fdb${query({ bridge, mac })}`);
  if (found.length <= 1) return found[0]?.vlan ?? 0;
  const vlans = found.map(({ vlan }) => vlan).sort((a, b) => a - b);
  throw new RequestError(
    'several-entries',
    `${bridge} has ${mac} in ${found.length} VLANs`,
    `say --vlan: ${vlans.join(', ')}`,
  );
}

interface FlushOptions {
  readonly bridge?: string;
  readonly port?: string;
  readonly vlan?: number;
  readonly json?: boolean;
}

async function flush(context: Context, options: FlushOptions, self: Command): Promise<void> {
  const named = options.port === undefined ? null : splitPort(options.port);
  const filter = { bridge: named?.bridge ?? options.bridge, port: named?.port, vlan: options.vlan };
  const answer = await clientOf(context, self).send<{ flushed: number }>('POST', '/v1/fdb/flush', filter);
  if (options.json === true) printJson(context.io, answer);
  else print(context.io, `${answer.flushed} ${answer.flushed === 1 ? 'address' : 'addresses'} forgotten`);
}

export function addFdbCommands(program: Command, context: Context): void {
  const fdb = program.command('fdb').description('change the forwarding database (`weft show fdb` shows it)');
  const adding = fdb
    .command('add')
    .description('add an entry that no frame taught; a static one neither ages nor moves')
    .argument('<port>', 'where the address lives, as br0/web or web; or left out, with --port or --remote')
    .argument('[mac]', 'a MAC address')
    .option('--vlan <number>', 'its VLAN (default: the port’s own, or that of the VNI)', vlanNumber)
    .option('--sticky', 'frames refresh it and do not move it; without them it ages')
    .option('--port <name>', 'where it lives, in place of the first word')
    .option(
      '--remote <address>',
      'the other end of a tunnel behind which it lives; the only tunnel that fits is taken',
      ipAddress,
    )
    .option('--vni <number>', 'with --remote: the network identifier of frames to it', networkNumber)
    .action((first: string, second: string | undefined, options: AddOptions, self: Command) =>
      add(context, second === undefined ? [first] : [first, second], options, self),
    );
  examples(
    adding,
    ['fdb add br0/web 02:00:00:00:00:01 --vlan 10', 'a static entry'],
    ['fdb add 02:00:00:00:00:01 --remote 192.0.2.2', 'behind the only tunnel that reaches it'],
    ['fdb add 02:00:00:00:00:01 --port pod7 --remote 192.0.2.2 --vni 7', 'in another network there'],
  );
  const deleting = fdb
    .command('del')
    .description('delete an entry of any type')
    .argument('<bridge>', 'its bridge')
    .argument('<mac>', 'its address')
    .option('--vlan <number>', 'its VLAN; not needed where it is in one only', vlanNumber)
    .action((bridge: string, mac: string, options: { vlan?: number }, self: Command) =>
      del(context, bridge, mac, options, self),
    );
  examples(deleting, ['fdb del br0 02:00:00:00:00:01 --vlan 10', 'forget one address']);
  const flushing = fdb
    .command('flush')
    .description('forget learned addresses: all, or of a bridge, a port, a VLAN')
    .option('--bridge <name>', 'only of this bridge')
    .option('--port <name>', 'only at this port (also br0/web)')
    .option('--vlan <number>', 'only in this VLAN', vlanNumber)
    .option('--json', 'how many, as JSON')
    .action((options: FlushOptions, self: Command) => flush(context, options, self));
  examples(flushing, ['fdb flush --port br0/web', 'forget what was learned at web']);
  examples(fdb, ['fdb flush --vlan 10', 'forget what was learned in VLAN 10']);
}

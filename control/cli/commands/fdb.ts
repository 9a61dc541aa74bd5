/**
 * `weft fdb add|del|flush`: entries of the forwarding database that no frame taught, and forgetting those that frames did.
 */
import { type Command, InvalidArgumentError } from 'commander';
import { query } from '../client.ts';
import { type Context, clientOf, examples } from '../context.ts';
import { note, print, printJson } from '../io.ts';
import { findPort, splitPort } from '../ports.ts';

function vlanNumber(text: string): number {
  const vlan = Number(text);
  if (!/^\d+$/.test(text) || vlan > 4094)
    throw new InvalidArgumentError('It is not a VLAN (1–4094, or 0 for frames without a tag).');
  return vlan;
}

interface AddOptions {
  readonly vlan: number;
  readonly sticky?: boolean;
}

async function add(context: Context, text: string, mac: string, options: AddOptions, self: Command): Promise<void> {
  const client = clientOf(context, self);
  const { bridge, port } = await findPort(client, text);
  const type = options.sticky === true ? 'sticky' : 'static';
  await client.send('POST', `/v1/bridges/${encodeURIComponent(bridge)}/fdb`, { mac, vlan: options.vlan, port, type });
  note(context.io, `${mac} in VLAN ${options.vlan} lives at ${bridge}/${port} (${type})`);
}

async function del(
  context: Context,
  bridge: string,
  mac: string,
  options: { vlan: number },
  self: Command,
): Promise<void> {
  const path = `/v1/bridges/${encodeURIComponent(bridge)}/fdb${query({ vlan: options.vlan, mac })}`;
  await clientOf(context, self).send('DELETE', path);
  note(context.io, `${mac} in VLAN ${options.vlan} is forgotten`);
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
    .argument('<port>', 'where the address lives, as br0/web or web')
    .argument('<mac>', 'a MAC address')
    .option('--vlan <number>', 'its VLAN', vlanNumber, 0)
    .option('--sticky', 'frames refresh it and do not move it; without them it ages')
    .action((port: string, mac: string, options: AddOptions, self: Command) => add(context, port, mac, options, self));
  examples(adding, ['fdb add br0/web 02:00:00:00:00:01 --vlan 10', 'a static entry']);
  const deleting = fdb
    .command('del')
    .description('delete an entry of any type')
    .argument('<bridge>', 'its bridge')
    .argument('<mac>', 'its address')
    .option('--vlan <number>', 'its VLAN', vlanNumber, 0)
    .action((bridge: string, mac: string, options: { vlan: number }, self: Command) =>
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

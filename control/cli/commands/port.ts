/**
 * `weft port add|del|show`: ports of the running switch. Options become a port of the document; the daemon checks it as it checks a file's.
 */
import { type Command, Option } from 'commander';
import { RequestError } from '../../errors.ts';
import type { ApplyResult } from '../../switch.ts';
import { type Context, clientOf, examples } from '../context.ts';
import { BOND_MODE_NAMES, PORT_KIND_NAMES, SOCKET_TYPE_NAMES, VLAN_MODE_NAMES } from '../names.ts';
import { findPort, splitPort } from '../ports.ts';
import { addBondOptions, type BondOptions, bondKeys } from './bond-options.ts';
import { several, vlanList, whole } from './option-values.ts';
import { addPortShow } from './port-show.ts';
import { printResult, save } from './result.ts';
import { addTunnelOptions, type TunnelOptions, tunnelKeys } from './tunnel-options.ts';

interface AddOptions extends BondOptions, TunnelOptions {
  readonly kind: string;
  readonly device?: string;
  readonly netns?: string;
  readonly address?: readonly string[];
  readonly gateway?: readonly string[];
  readonly mac?: string;
  readonly mtu?: number;
  readonly speed?: string;
  readonly takeOver?: boolean;
  readonly socketPath?: string;
  readonly client?: boolean;
  readonly group?: string;
  readonly queues?: number;
  readonly type?: string;
  readonly remote?: string;
  readonly peer?: string;
  readonly read?: string;
  readonly write?: string;
  readonly mode?: string;
  readonly vlanMode?: string;
  readonly tag?: number;
  readonly trunks?: readonly (number | string)[];
  readonly protected?: boolean;
  readonly flood?: boolean;
  readonly learning?: boolean;
  readonly fdbLimit?: number;
  readonly save?: boolean;
  readonly json?: boolean;
}

function without(record: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}

/** Throws a RequestError where an option would say nothing, as its place in the document is another's. */
function checkModes({ kind, mode, vlanMode, client }: AddOptions): void {
  if (kind === 'bond' && client === true) {
    const instead = 'say it of a member: `--member kind=socket,name=s,socket=PATH,mode=client`';
    throw new RequestError('unfit-option', '--client is not for a bond, whose members connect', instead);
  }
  if (kind !== 'bond' && mode !== undefined && vlanMode !== undefined) {
    const message = `--mode ${mode} beside --vlan-mode ${vlanMode}: of a ${kind} both mean the VLAN mode`;
    throw new RequestError('unfit-option', message, 'leave one of them out; a port of `--kind bond` has both');
  }
}

/** The port as a document says it; what was not given is not in it. Throws a RequestError for options that exclude each other. */
export function portDocument(name: string, o: AddOptions): Record<string, unknown> {
  checkModes(o);
  const isBond = o.kind === 'bond';
  const vlan = without({ mode: o.vlanMode ?? (isBond ? undefined : o.mode), tag: o.tag, trunks: o.trunks });
  return without({
    name,
    kind: o.kind,
    device: o.device,
    netns: o.netns,
    addresses: o.address,
    gateway: o.gateway,
    mac: o.mac,
    mtu: o.mtu,
    speed: o.speed,
    'take-over': o.takeOver,
    socket: o.socketPath,
    mode: isBond ? o.mode : o.client === true ? 'client' : undefined,
    group: o.group,
    queues: o.queues,
    type: o.type,
    remote: o.remote,
    peer: o.peer,
    read: o.read,
    write: o.write,
    vlan: Object.keys(vlan).length === 0 ? undefined : vlan,
    protected: o.protected,
    flood: o.flood === false ? false : undefined,
    learning: o.learning === false ? false : undefined,
    'fdb-limit': o.fdbLimit,
    ...bondKeys(o),
    ...tunnelKeys(o),
  });
}

function addOptions(command: Command): Command {
  return command
    .addOption(new Option('--kind <kind>', 'kind of port').choices(PORT_KIND_NAMES).default('tap'))
    .option(
      '--device <name>',
      'tap, netdev: name of the device (default: the port’s name); vxlan, geneve: interface of the group',
    )
    .option('--netns <name>', 'tap: namespace to move it into')
    .option('--address <address/prefix>', 'tap: address of the device, may repeat', several)
    .option('--gateway <address>', 'tap: default gateway, may repeat', several)
    .option('--mac <address>', 'tap, bond: its MAC address')
    .option('--take-over', 'netdev: its addresses and routes move to a tap port of the bridge')
    .option('--socket-path <path>', 'vhost-user, socket: where guest and weft meet (--socket is the daemon’s own)')
    .option('--client', 'vhost-user, socket: the guest listens, not weft')
    .option(
      '--group <name>',
      'vhost-user, socket: whose members may connect, as kvm (default: only weft’s own user); vxlan, geneve: a multicast address',
    )
    .option('--queues <number>', 'vhost-user: queue pairs (default: as many as workers)', whole)
    .addOption(new Option('--type <type>', 'socket: type of the socket').choices(SOCKET_TYPE_NAMES))
    .option('--remote <path>', 'socket of type dgram: where the guest receives')
    .option('--peer <bridge/port>', 'patch: the other end, which must be there: a new pair is a matter of `weft apply`')
    .option('--read <file>', 'pcap: frames to receive')
    .option('--write <file>', 'pcap: where transmitted frames go')
    .addOption(
      new Option('--mode <mode>', 'VLAN mode; of a bond how it uses its members').choices([
        ...VLAN_MODE_NAMES,
        ...BOND_MODE_NAMES,
      ]),
    )
    .addOption(new Option('--vlan-mode <mode>', 'VLAN mode, also of a bond').choices(VLAN_MODE_NAMES))
    .option('--tag <vlan>', 'access, native or service VLAN', whole)
    .option('--trunks <vlans>', 'VLANs of a trunk, as 10,20-29', vlanList)
    .option('--mtu <bytes>', 'longest payload', whole)
    .option('--speed <speed>', 'as 10G, for utilisation')
    .option('--protected', 'no frames to and from other protected ports')
    .option('--no-flood', 'flood nothing out of this port')
    .option('--no-learning', 'learn no addresses here')
    .option('--fdb-limit <entries>', 'at most so many addresses', whole);
}

async function add(context: Context, text: string, options: AddOptions, self: Command): Promise<void> {
  const { bridge, port } = splitPort(text);
  if (bridge === null) {
    throw new RequestError(
      'no-bridge',
      `"${text}" names no bridge`,
      `write it as BRIDGE/PORT, as in \`weft port add br0/${port}\``,
    );
  }
  const client = clientOf(context, self);
  const path = `/v1/bridges/${encodeURIComponent(bridge)}/ports`;
  printResult(
    context.io,
    await client.send<ApplyResult>('POST', path, portDocument(port, options)),
    options.json === true,
  );
  if (options.save === true) await save(context.io, client);
}

async function del(
  context: Context,
  text: string,
  options: { save?: boolean; json?: boolean },
  self: Command,
): Promise<void> {
  const client = clientOf(context, self);
  const { bridge, port } = await findPort(client, text);
  if (port.includes('/')) {
    throw new RequestError(
      'is-a-member',
      `${text} is a member of a bond, not a port`,
      'take it out of the bond’s members in the document and apply that; for a while: `weft bond member disable BOND MEMBER`',
    );
  }
  const path = `/v1/bridges/${encodeURIComponent(bridge)}/ports/${encodeURIComponent(port)}`;
  printResult(context.io, await client.send<ApplyResult>('DELETE', path), options.json === true);
  if (options.save === true) await save(context.io, client);
}

export function addPortCommands(program: Command, context: Context): void {
  const port = program.command('port').description('change ports of the running switch, and show one');
  const named = port.command('add').description('add a port').argument('<bridge/port>', 'its bridge and its name');
  const adding = addTunnelOptions(addBondOptions(addOptions(named)))
    .option('--save', 'write the running document to its file afterwards')
    .option('--json', 'what was done as JSON')
    .action((text: string, options: AddOptions, self: Command) => add(context, text, options, self));
  examples(
    adding,
    ['port add br0/web --netns web --address 10.0.10.2/24 --tag 10', 'a TAP in a namespace, access VLAN 10'],
    ['port add br0/up --mode trunk --trunks 10,20-29', 'a TAP that carries tagged frames'],
    ['port add br0/db --tag 20 --mtu 9000 --save', 'kept over a restart'],
    [
      'port add br0/vm --kind vhost-user --socket-path /run/weft/vm.sock',
      'a KVM guest; then: weft port show br0/vm --qemu',
    ],
    ['port add br0/vm2 --kind netdev --device tap-vm2', 'the TAP of a guest, which QEMU holds'],
    ['port add br0/up --kind bond --member eth1 --member eth2 --primary eth1', 'two interfaces, one in reserve'],
    ['port add br0/lag --kind bond --mode 802.3ad --member eth1,priority=1 --member eth2 --lacp-rate fast', 'LACP'],
    ['port add br0/pod7 --kind vxlan --vni 5007 --local 192.0.2.1 --remotes 192.0.2.2,192.0.2.3', 'two more machines'],
    [
      'port add br0/all --kind geneve --vlans 10=5010,20=5020 --local 2001:db8::1 --remotes 2001:db8::2',
      'a VNI a VLAN',
    ],
    ['port add br0/ovs --kind gre --key 7 --local 192.0.2.1 --remotes 192.0.2.9', 'Ethernet over GRE'],
  );
  const deleting = port
    .command('del')
    .description('delete a port, and the device that weft made for it')
    .argument('<port>', 'as br0/web, or web where only one bridge has it')
    .option('--save', 'write the running document to its file afterwards')
    .option('--json', 'what was done as JSON')
    .action((text: string, options: { save?: boolean; json?: boolean }, self: Command) =>
      del(context, text, options, self),
    );
  examples(deleting, ['port del br0/web', 'delete the port web of br0']);
  addPortShow(port, context);
  examples(
    port,
    ['port add br0/web --tag 10', 'a TAP named web in VLAN 10'],
    ['port show web', 'all that is known of it'],
    ['port del web', 'and away'],
  );
}

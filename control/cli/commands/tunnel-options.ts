/**
 * What `weft port add --kind vxlan`, geneve and gre take, and the keys of the document that it means. Called by port.ts; the daemon checks what
 * comes out as it checks a file's.
 */
import { type Command, InvalidArgumentError } from 'commander';
import { several, whole } from './option-values.ts';

export interface TunnelOptions {
  readonly vni?: number;
  readonly key?: number;
  readonly vlans?: Readonly<Record<string, number>>;
  readonly local?: string;
  readonly remotes?: readonly string[];
  readonly port?: number;
  readonly ttl?: number | string;
  readonly tos?: number | string;
  readonly df?: boolean;
  readonly checksum?: boolean;
  readonly splitHorizon?: boolean;
  readonly suppress?: boolean;
  readonly clampMss?: boolean;
  readonly remoteLimit?: number;
}

/** `10=5010,20=5020` as a document's map of VLAN and VNI; an option that repeats goes on where it was. */
export function vniMap(text: string, before: Readonly<Record<string, number>> = {}): Record<string, number> {
  const map: Record<string, number> = { ...before };
  for (const pair of text.split(',')) {
    const [vlan = '', vni = '', ...rest] = pair.split('=');
    if (rest.length > 0 || !/^\d+$/.test(vlan) || !/^\d+$/.test(vni))
      throw new InvalidArgumentError(`"${pair}" is not VLAN=VNI (as 10=5010).`);
    if (vlan in map) throw new InvalidArgumentError(`VLAN ${vlan} is there twice.`);
    map[vlan] = Number(vni);
  }
  return map;
}

function wholeOrInherit(text: string): number | string {
  return text === 'inherit' ? text : whole(text);
}

export function addTunnelOptions(command: Command): Command {
  return command
    .option('--vni <number>', 'vxlan, geneve: the network identifier', whole)
    .option('--key <number>', 'gre: the key (default: none)', whole)
    .option('--vlans <vlan=vni,…>', 'vxlan, geneve: a network for each VLAN, in place of --vni', vniMap)
    .option('--local <address>', 'tunnels: the address of this machine that they send from')
    .option('--remotes <addresses>', 'tunnels: the other ends, which get what goes to many; may repeat', several)
    .option('--port <number>', 'vxlan, geneve: UDP port of both sides (default: 4789, 6081)', whole)
    .option('--ttl <hops>', 'tunnels: of outer packets, or inherit', wholeOrInherit)
    .option('--tos <number>', 'tunnels: of outer packets, in steps of 4, or inherit', wholeOrInherit)
    .option('--no-df', 'tunnels: outer packets may be fragmented')
    .option('--no-checksum', 'vxlan, geneve: UDP without a checksum, which is slower')
    .option('--no-split-horizon', 'tunnels: what comes by one tunnel may leave by another')
    .option('--suppress', 'tunnels: answer ARP and neighbour solicitations whose answer is known')
    .option('--clamp-mss', 'tunnels: lower the segment size of TCP connections to what fits')
    .option('--remote-limit <number>', 'tunnels: remotes that may be learned', whole);
}

/** Keys of a tunnel's document; undefined where nothing was given. */
export function tunnelKeys(options: TunnelOptions): Record<string, unknown> {
  const { vni, key, vlans, local, remotes, port, ttl, tos, suppress, remoteLimit } = options;
  return {
    vni,
    key,
    vlans,
    local,
    remotes,
    port,
    ttl,
    tos,
    df: options.df === false ? false : undefined,
    checksum: options.checksum === false ? false : undefined,
    'split-horizon': options.splitHorizon === false ? false : undefined,
    suppress,
    'clamp-mss': options.clampMss,
    'remote-limit': remoteLimit,
  };
}

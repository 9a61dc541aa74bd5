// Every switch that can be measured, by name. A new peer is one file and one line here.
import { linuxBridge } from './linux-bridge.ts';
import { ovsUserspace, ovsUserspaceTso } from './ovs-userspace.ts';
import type { Peer } from './peer.ts';
import { plain } from './plain.ts';
import { vde } from './vde.ts';
import { veth } from './veth.ts';
import { weft } from './weft.ts';

export const PEERS: readonly Peer[] = [weft, linuxBridge, ovsUserspace, ovsUserspaceTso, vde, veth, plain];

/** The peer of that name; throws an Error that lists the names. */
export function findPeer(name: string): Peer {
  const found = PEERS.find((peer) => peer.name === name);
  if (found === undefined)
    throw new Error(`no switch is called ${name}; there are: ${PEERS.map((p) => p.name).join(', ')}`);
  return found;
}

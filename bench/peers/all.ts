// Every switch that can be measured, by name. A new peer is one file and one line here.
import { linuxBridge } from './linux-bridge.ts';
import { ovsUserspace, ovsUserspaceTso, ovsUserspaceTsoVeth, ovsUserspaceVeth } from './ovs-userspace.ts';
import type { Peer } from './peer.ts';
import { plain } from './plain.ts';
import { vde } from './vde.ts';
import { veth } from './veth.ts';
import { kernelVxlan } from './vxlan-kernel.ts';
import { ovsVxlan, ovsVxlanTso } from './vxlan-ovs.ts';
import { weftVxlan } from './vxlan-weft.ts';
import { weft } from './weft.ts';
import { weftNetdev } from './weft-netdev.ts';

export const PEERS: readonly Peer[] = [weft, linuxBridge, ovsUserspace, ovsUserspaceTso, vde, veth, plain];

/** Switches over interfaces that exist already: what the scenario `netdev` compares. */
export const VETH_PEERS: readonly Peer[] = [weftNetdev, ovsUserspaceVeth, ovsUserspaceTsoVeth];

/** Two machines joined by VXLAN: what the scenarios `vxlan-…` compare. */
export const VXLAN_PEERS: readonly Peer[] = [weftVxlan, kernelVxlan, ovsVxlan, ovsVxlanTso];

/** The peer of that name; throws an Error that lists the names. */
export function findPeer(name: string): Peer {
  const all = [...PEERS, ...VETH_PEERS, ...VXLAN_PEERS];
  const found = all.find((peer) => peer.name === name);
  if (found === undefined)
    throw new Error(`no switch is called ${name}; there are: ${all.map((p) => p.name).join(', ')}`);
  return found;
}

// HOT: answers ARP requests and neighbour solicitations for hosts behind tunnels, so that these need not carry them. Called by 5-replicate.
import type { Lane } from '../memory/lane.ts';

/**
 * The frame in `slot`, which came by `port`, no tunnel, is about to be flooded in a bridge with BridgeWord.SUPPRESS. True: it asked for an address
 * that is known, and the answer is listed at `port` (and counted there as replicated); then tunnels with PortFlag.SUPPRESS need not get it.
 * Changes nothing in the frame itself.
 */
export function answers(_lane: Lane, _slot: number, _port: number): boolean {
  return false;
}

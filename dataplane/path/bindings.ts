// HOT: what a tunnel's hosts tell of their addresses, for `suppress`. Called for every frame that came by such a tunnel; only ARP and
// neighbour discovery are looked at, and only what is news goes up to control.
import type { Lane } from '../memory/lane.ts';

/**
 * The frame with these facts was just received by the tunnel `port`, which has PortFlag.SUPPRESS; nothing but its length is known of it. Changes
 * nothing in it.
 */
export function noteBinding(_lane: Lane, _facts: number, _port: number): void {}

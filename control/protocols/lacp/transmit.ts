/**
 * The transmit machine (IEEE 802.1AX-2014, 6.4.16): an LACPDU when one is wanted, at most three a second. Called by system.ts as the last
 * of a port's machines. Pure: who calls it sends the frame.
 */
import { ETHERNET_BYTES, ETHERTYPE_SLOW_PROTOCOLS } from '../../../dataplane/wire/ethernet.ts';
import { emitEthernet } from '../../../dataplane/wire/ethernet-value.ts';
import { LACP_VERSION_1, SLOW_PDU_BYTES } from '../../../dataplane/wire/lacp.ts';
import { emitLacpdu } from '../../../dataplane/wire/lacp-value.ts';
import { actorEnd, FAST_PERIODIC_MS, type LacpActor, type LacpPort, withState } from './port.ts';

/** Where slow protocols are sent (IEEE 802.3-2022, 57A.3). */
export const SLOW_PROTOCOLS_MAC = '01:80:c2:00:00:02';
const SENT_MAX = 3;

/** `send`: the port's LACPDU leaves now. One that is wanted too early stays wanted. */
export function transmitMachine(port: LacpPort, now: number): { readonly port: LacpPort; readonly send: boolean } {
  if (!port.ntt) return { port, send: false };
  if (port.periodic === 'NO_PERIODIC') return { port: { ...port, ntt: false }, send: false };
  if (now < transmitAt(port)) return { port, send: false };
  return { port: { ...port, ntt: false, sentAt: [...port.sentAt, now].slice(-SENT_MAX) }, send: true };
}

/** When the next LACPDU may leave. */
export function transmitAt({ sentAt }: LacpPort): number {
  return sentAt.length < SENT_MAX ? 0 : sentAt[0]! + FAST_PERIODIC_MS;
}

/** A whole Ethernet frame of 124 bytes; `source` is the member's own address. */
export function lacpduFrame(port: LacpPort, actor: LacpActor, source: string): Uint8Array {
  const frame = new Uint8Array(ETHERNET_BYTES + SLOW_PDU_BYTES);
  const at = emitEthernet({ destination: SLOW_PROTOCOLS_MAC, source, etherType: ETHERTYPE_SLOW_PROTOCOLS }, frame, 0);
  // A collector here hands frames on within a turn: no delay to tell.
  emitLacpdu({ version: LACP_VERSION_1, actor: actorEnd(port, actor), partner: port.partner, maxDelay: 0 }, frame, at);
  return frame;
}

/** The last LACPDU of a port that is taken away, so that its partner doesn't send to nobody until its timer ends; null: it never spoke. */
export function farewellFrame(port: LacpPort, actor: LacpActor, source: string): Uint8Array | null {
  if (!port.up || port.periodic === 'NO_PERIODIC') return null;
  const gone = withState(port, { synchronization: false, collecting: false, distributing: false });
  return lacpduFrame(gone, actor, source);
}

/**
 * Frames by which the switch tells or asks its neighbours something itself: where an address is now, and whether a target answers. Called
 * by bonds, their monitors and the announcer of moved guests, on the main thread. Each is padded to 60 bytes, without FCS, tagged when
 * asked to. Never sends.
 */
import { ARP_BYTES, ARP_REPLY, ARP_REQUEST } from '../../dataplane/wire/arp.ts';
import { emitArp } from '../../dataplane/wire/arp-value.ts';
import { buildArpFrame, buildFrame, buildNeighbourFrame, type TagOptions } from '../../dataplane/wire/build.ts';
import { NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION } from '../../dataplane/wire/ndp.ts';
import { parseIpv6Address } from '../../dataplane/wire/text.ts';

const ETHERTYPE_RARP = 0x8035;
const ETHERTYPE_LOOPBACK = 0x9000;
const REQUEST_REVERSE = 3;
const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const NO_MAC = '00:00:00:00:00:00';
/** Who has no address of the family asks as this. */
export const NO_IPV4 = '0.0.0.0';
export const NO_IPV6 = '::';
const ALL_NODES = 'ff02::1';
const ALL_NODES_MAC = '33:33:00:00:00:01';

/** A VLAN id, and what is not 0x8100 with priority 0; null: untagged. */
export type FrameTag = TagOptions | null;

function tagsOf(tag: FrameTag): readonly TagOptions[] {
  return tag === null ? [] : [tag];
}

/** RFC 903: "who am I?", to everybody. Switches learn where `mac` is, hosts don't care. */
export function rarpRequest(mac: string, tag: FrameTag = null): Uint8Array {
  const packet = new Uint8Array(ARP_BYTES);
  const addresses = { senderMac: mac, senderAddress: NO_IPV4, targetMac: mac, targetAddress: NO_IPV4 };
  emitArp({ operation: REQUEST_REVERSE, ...addresses }, packet, 0);
  return buildFrame({ dst: BROADCAST, src: mac, vlan: tagsOf(tag) }, ETHERTYPE_RARP, packet);
}

/** From an address to itself (EtherType 0x9000): nobody takes it, and switches learn where it came from. */
export function loopbackFrame(mac: string): Uint8Array {
  return buildFrame({ dst: mac, src: mac, vlan: [] }, ETHERTYPE_LOOPBACK, new Uint8Array(ARP_BYTES));
}

/** ARP announcement as a request (RFC 5227, 2.3): hosts that know `ipv4` take over `mac`. */
export function gratuitousArp(mac: string, ipv4: string, tag: FrameTag = null): Uint8Array {
  return arpRequest(mac, ipv4, ipv4, tag);
}

/** The same as a reply (RFC 5944, 4.6), for hosts that ignore the request. */
export function gratuitousArpReply(mac: string, ipv4: string, tag: FrameTag = null): Uint8Array {
  const addresses = { senderMac: mac, senderAddress: ipv4, targetMac: mac, targetAddress: ipv4 };
  return buildArpFrame({ dst: BROADCAST, vlan: tagsOf(tag), operation: ARP_REPLY, ...addresses });
}

/** RFC 4861, 7.2.6: to all nodes, unsolicited, with the override flag: `mac` replaces what they know of `ipv6`. */
export function unsolicitedNa(mac: string, ipv6: string, tag: FrameTag = null): Uint8Array {
  return buildNeighbourFrame({
    dst: ALL_NODES_MAC,
    src: mac,
    vlan: tagsOf(tag),
    ip6: { source: ipv6, destination: ALL_NODES },
    type: NEIGHBOUR_ADVERTISEMENT,
    router: false,
    solicited: false,
    override: true,
    target: ipv6,
    linkAddress: mac,
  });
}

/** RFC 826: who has `target`? From NO_IPV4 it is a probe, which changes nobody's cache (RFC 5227, 2.1.1). */
export function arpRequest(mac: string, source: string, target: string, tag: FrameTag = null): Uint8Array {
  const addresses = { senderMac: mac, senderAddress: source, targetMac: NO_MAC, targetAddress: target };
  return buildArpFrame({ dst: BROADCAST, vlan: tagsOf(tag), operation: ARP_REQUEST, ...addresses });
}

/**
 * RFC 4861, 4.3 and 7.2.2: who has `target`? To its solicited-node group. From NO_IPV6 it carries no link-layer address, and the answer
 * goes to all nodes.
 */
export function neighbourSolicitation(mac: string, source: string, target: string, tag: FrameTag = null): Uint8Array {
  const low = parseIpv6Address(target).subarray(13);
  const [a, b, c] = Array.from(low, (byte) => byte.toString(16).padStart(2, '0'));
  return buildNeighbourFrame({
    dst: `33:33:ff:${a}:${b}:${c}`,
    src: mac,
    vlan: tagsOf(tag),
    ip6: { source, destination: `ff02::1:ff${a}:${b}${c}` },
    type: NEIGHBOUR_SOLICITATION,
    router: false,
    solicited: false,
    override: false,
    target,
    linkAddress: source === NO_IPV6 ? null : mac,
  });
}

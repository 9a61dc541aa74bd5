/** How long frames and packets may be in a tunnel, from how long they may be on the way. Called by tunnel-device.ts; pure. */
import type { TunnelSettings } from '../model/tunnel.ts';
import type { VlanModel } from '../model/vlan.ts';

const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
const UDP_BYTES = 8;
const VXLAN_BYTES = 8;
const GRE_BYTES = 4;
const GRE_KEY_BYTES = 4;
const ETHERNET_BYTES = 14;
const TAG_BYTES = 4;
/** The longest outer packet that may be sent in fragments: IPv4's length has 16 bits, and IPv6's payload. */
const PACKET_BYTES_MAX = 65_535;

/** Bytes of the outer packet before the inner frame. Geneve goes out without options. */
export function headersOf({ kind, local, vni }: TunnelSettings): number {
  const ip = local.includes(':') ? IPV6_BYTES : IPV4_BYTES;
  if (kind === 'gre') return ip + GRE_BYTES + (vni === null ? 0 : GRE_KEY_BYTES);
  return ip + UDP_BYTES + VXLAN_BYTES;
}

/** Whether inner frames may have the tag of their VLAN. */
export function sendsTags({ vlans }: TunnelSettings, vlan: VlanModel): boolean {
  return vlans === null && vlan.mode !== 'access';
}

/** Outer packet less inner packet. */
export function overheadOf(settings: TunnelSettings, vlan: VlanModel): number {
  return headersOf(settings) + ETHERNET_BYTES + (sendsTags(settings, vlan) ? TAG_BYTES : 0);
}

/** The longest inner frame of a way that takes packets of `pathMtu` bytes; 0 where there is no way. */
export function frameBytesMax(settings: TunnelSettings, pathMtu: number): number {
  if (pathMtu === 0) return 0;
  return Math.max(0, (settings.df ? pathMtu : PACKET_BYTES_MAX) - headersOf(settings));
}

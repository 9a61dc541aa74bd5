/**
 * The feature bits of virtio-net and of vhost-user that a weft port offers, by number and by word. Read by session.ts, and by
 * control/devices/guest for what a port takes and shows. Pure. Sources: VIRTIO 1.2, sections 5.1.3 and 6; QEMU,
 * docs/interop/vhost-user.rst, "Protocol features".
 */

export const Feature = {
  CSUM: 0,
  GUEST_CSUM: 1,
  MTU: 3,
  GUEST_TSO4: 7,
  GUEST_TSO6: 8,
  GUEST_ECN: 9,
  HOST_TSO4: 11,
  HOST_TSO6: 12,
  HOST_ECN: 13,
  MRG_RXBUF: 15,
  /** QEMU shows it to a guest only when the back end has it; the guest's acknowledgement goes to QEMU's own control queue. */
  GUEST_ANNOUNCE: 21,
  MQ: 22,
  /** VHOST_F_LOG_ALL: every write into guest memory is marked in the migration log. */
  LOG_ALL: 26,
  ANY_LAYOUT: 27,
  RING_INDIRECT_DESC: 28,
  RING_EVENT_IDX: 29,
  PROTOCOL_FEATURES: 30,
  VERSION_1: 32,
  IN_ORDER: 35,
  GUEST_USO4: 54,
  GUEST_USO6: 55,
  HOST_USO: 56,
} as const;

export type FeatureName = keyof typeof Feature;

export const ProtocolFeature = {
  MQ: 0,
  LOG_SHMFD: 1,
  RARP: 2,
  REPLY_ACK: 3,
  NET_MTU: 4,
  CONFIGURE_MEM_SLOTS: 15,
} as const;

export type ProtocolFeatureName = keyof typeof ProtocolFeature;

export function has(features: bigint, name: FeatureName): boolean {
  return ((features >> BigInt(Feature[name])) & 1n) === 1n;
}

export function hasProtocol(features: bigint, name: ProtocolFeatureName): boolean {
  return ((features >> BigInt(ProtocolFeature[name])) & 1n) === 1n;
}

function bits(table: Readonly<Record<string, number>>, without: readonly string[]): bigint {
  const numbers = Object.entries(table).filter(([name]) => !without.includes(name));
  return numbers.reduce((sum, [, number]) => sum | (1n << BigInt(number)), 0n);
}

/** Everything of `Feature`, but an MTU only where the port has one to tell. */
export function offeredFeatures(mtu: number | null): bigint {
  return bits(Feature, mtu === null ? ['MTU'] : []);
}

export function offeredProtocolFeatures(mtu: number | null): bigint {
  return bits(ProtocolFeature, mtu === null ? ['NET_MTU'] : []);
}

/** As people read them: `csum, guest-tso4`; bits without a name as `bit-60`. */
export function featureWords(features: bigint): string {
  const names = new Map<number, string>(Object.entries(Feature).map(([name, bit]) => [bit, name]));
  const words: string[] = [];
  for (let bit = 0; bit < 64; bit++) {
    if (((features >> BigInt(bit)) & 1n) === 0n) continue;
    words.push((names.get(bit) ?? `bit-${bit}`).toLowerCase().replaceAll('_', '-'));
  }
  return words.join(', ');
}

/**
 * Names that options offer, repeated from the document's schema, since loading that loads zod (90 ms). A test keeps them equal.
 */
export const PORT_KIND_NAMES = [
  'tap',
  'netdev',
  'vhost-user',
  'socket',
  'bond',
  'patch',
  'memory',
  'null',
  'pcap',
] as const;
export const SOCKET_TYPE_NAMES = ['stream', 'dgram'] as const;
export const VLAN_MODE_NAMES = ['access', 'trunk', 'native-tagged', 'native-untagged', 'dot1q-tunnel'] as const;
export const BOND_MODE_NAMES = [
  'active-backup',
  'balance-rr',
  'balance-xor',
  'broadcast',
  '802.3ad',
  'balance-tlb',
  'balance-alb',
  'balance-slb',
] as const;
export const HASH_POLICY_NAMES = ['layer2', 'layer2+3', 'layer3+4', 'encap2+3', 'encap3+4', 'vlan+srcmac'] as const;
export const LACP_MODE_NAMES = ['active', 'passive'] as const;
export const LACP_RATE_NAMES = ['slow', 'fast'] as const;

/**
 * Names that options offer, repeated from the document's schema, since loading that loads zod (90 ms), and a test keeps them equal; those of
 * bonds come from the model, which loads nothing.
 */
export { BOND_MODES as BOND_MODE_NAMES, HASH_POLICIES as HASH_POLICY_NAMES } from '../model/bond.ts';

export const PORT_KIND_NAMES = [
  'tap',
  'netdev',
  'vhost-user',
  'socket',
  'bond',
  'vxlan',
  'geneve',
  'gre',
  'patch',
  'memory',
  'null',
  'pcap',
] as const;
export const SOCKET_TYPE_NAMES = ['stream', 'dgram'] as const;
export const VLAN_MODE_NAMES = ['access', 'trunk', 'native-tagged', 'native-untagged', 'dot1q-tunnel'] as const;
export const LACP_MODE_NAMES = ['active', 'passive'] as const;
export const LACP_RATE_NAMES = ['slow', 'fast'] as const;

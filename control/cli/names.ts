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

/**
 * The document that a user writes: its schema and its types. Read by load.ts, by the API (for OpenAPI) and by everybody
 * who needs the types. A document is never rewritten here: defaults are filled in by `fromDocument` (control/model).
 * Strict everywhere: a key that is not known is an error, so that a slip of the pen never silently changes a network.
 */
import { z } from 'zod';
import { WORKERS_MAX } from '../../dataplane/limits.ts';
import { bondKeys } from './bond-schema.ts';
import { memoryKeys, netdevKeys, socketKeys, vhostUserKeys } from './kind-keys.ts';
import { farKeys, geneveKeys, greKeys, vxlanKeys } from './tunnel-schema.ts';
import {
  AGEING_MAX,
  addressValue,
  deviceValue,
  FDB_LIMIT_MAX,
  fileValue,
  hostAddressValue,
  integer,
  listenValue,
  MTU_MAX,
  MTU_MIN,
  macValue,
  nameValue,
  netnsValue,
  peerValue,
  reservedValue,
  socketValue,
  speedValue,
  strict,
  tagValue,
  vlanListValue,
} from './values.ts';

/** In the order in which people read them. */
export const PORT_KINDS = [
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
export const VLAN_MODES = ['access', 'trunk', 'native-tagged', 'native-untagged', 'dot1q-tunnel'] as const;
/** `never` is Open vSwitch's word; `no` means the same. */
export const PRIORITY_TAGS = ['never', 'no', 'if-nonzero', 'always'] as const;
export const IDLE_KINDS = ['adaptive', 'busy', 'interrupt'] as const;
export const IO_KINDS = ['auto', 'io_uring', 'read-write'] as const;

const fdbLimit = integer(1, FDB_LIMIT_MAX, ' entries');
const forwardReserved = z.union([z.boolean(), z.array(reservedValue)]);

export const vlanSchema = strict('a port’s vlan', {
  mode: z.enum(VLAN_MODES).optional(),
  tag: tagValue.optional(),
  trunks: vlanListValue.optional(),
  cvlans: vlanListValue.optional(),
  ethertype: z.enum(['802.1ad', '802.1q']).optional(),
  'priority-tags': z.enum(PRIORITY_TAGS).optional(),
});

const floodSchema = strict('flood', {
  unknown: z.boolean().optional(),
  multicast: z.boolean().optional(),
  broadcast: z.boolean().optional(),
});

export const fdbEntrySchema = strict('a static entry', {
  mac: macValue,
  vlan: integer(0, 4094).optional(),
  type: z.enum(['static', 'sticky']).optional(),
  ...farKeys,
});

const common = {
  name: nameValue,
  vlan: vlanSchema.optional(),
  mtu: integer(MTU_MIN, MTU_MAX, ' bytes').optional(),
  speed: speedValue.optional(),
  flood: z.union([z.boolean(), floodSchema]).optional(),
  protected: z.boolean().optional(),
  'fdb-limit': fdbLimit.optional(),
  learning: z.boolean().optional(),
  sticky: z.boolean().optional(),
  'forward-reserved': forwardReserved.optional(),
  fdb: z.array(fdbEntrySchema).optional(),
};

export const tapSchema = strict('a tap port', {
  ...common,
  kind: z.literal('tap'),
  device: deviceValue.optional(),
  netns: netnsValue.optional(),
  address: z.union([addressValue, z.array(addressValue)]).optional(),
  addresses: z.array(addressValue).optional(),
  gateway: z.union([hostAddressValue, z.array(hostAddressValue)]).optional(),
  mac: macValue.optional(),
});

export const netdevSchema = strict('a netdev port', { ...common, ...netdevKeys });
export const vhostUserSchema = strict('a vhost-user port', { ...common, ...vhostUserKeys });
export const socketSchema = strict('a socket port', { ...common, ...socketKeys });
export const bondSchema = strict('a bond', { ...common, ...bondKeys });
export const vxlanSchema = strict('a vxlan port', { ...common, ...vxlanKeys });
export const geneveSchema = strict('a geneve port', { ...common, ...geneveKeys });
export const greSchema = strict('a gre port', { ...common, ...greKeys });
export const patchSchema = strict('a patch port', { ...common, kind: z.literal('patch'), peer: peerValue });
export const memorySchema = strict('a memory port', { ...common, ...memoryKeys });
export const nullSchema = strict('a null port', { ...common, kind: z.literal('null') });
export const pcapSchema = strict('a pcap port', {
  ...common,
  kind: z.literal('pcap'),
  read: fileValue.optional(),
  write: fileValue.optional(),
});

export const portSchema = z.discriminatedUnion('kind', [
  tapSchema,
  netdevSchema,
  vhostUserSchema,
  socketSchema,
  bondSchema,
  vxlanSchema,
  geneveSchema,
  greSchema,
  patchSchema,
  memorySchema,
  nullSchema,
  pcapSchema,
]);

export const bridgeSchema = strict('a bridge', {
  name: nameValue,
  ageing: integer(0, AGEING_MAX, ' seconds; 0 is never').optional(),
  'fdb-limit': fdbLimit.optional(),
  'forward-reserved': forwardReserved.optional(),
  ports: z.array(portSchema).optional(),
});

export const workersSchema = strict('workers', {
  count: integer(1, WORKERS_MAX).optional(),
  cpus: z.array(integer(0, 4095)).optional(),
  idle: z.enum(IDLE_KINDS).optional(),
  io: z.enum(IO_KINDS).optional(),
});

export const documentSchema = strict('the document', {
  workers: workersSchema.optional(),
  api: strict('api', { socket: socketValue.optional() }).optional(),
  metrics: z.union([z.literal(false), strict('metrics', { listen: listenValue.optional() })]).optional(),
  bridges: z.array(bridgeSchema),
});

export type Document = z.infer<typeof documentSchema>;
export type WorkersDocument = z.infer<typeof workersSchema>;
export type BridgeDocument = z.infer<typeof bridgeSchema>;
export type PortDocument = z.infer<typeof portSchema>;
export type TapDocument = z.infer<typeof tapSchema>;
export type NetdevDocument = z.infer<typeof netdevSchema>;
export type VhostUserDocument = z.infer<typeof vhostUserSchema>;
export type SocketDocument = z.infer<typeof socketSchema>;
export type BondDocument = z.infer<typeof bondSchema>;
export type TunnelDocument = z.infer<typeof vxlanSchema> | z.infer<typeof geneveSchema> | z.infer<typeof greSchema>;
export type PatchDocument = z.infer<typeof patchSchema>;
export type PcapDocument = z.infer<typeof pcapSchema>;
export type VlanDocument = z.infer<typeof vlanSchema>;
export type FdbEntryDocument = z.infer<typeof fdbEntrySchema>;
export type PortKind = PortDocument['kind'];
export type VlanMode = (typeof VLAN_MODES)[number];

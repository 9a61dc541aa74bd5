/**
 * What requests may say and what answers look like, as zod schemas: checked on the way in, and the source of OpenAPI.
 * Read by the routes only, which load lazily. The row types are switch.ts's; `satisfies` keeps the two together.
 */
import { z } from 'zod';
import { documentSchema, portSchema } from '../config/document.ts';
import { farKeys } from '../config/tunnel-schema.ts';
import { macValue, nameValue, strict } from '../config/values.ts';
import type { ApplyResult, BridgeRow, DropRow, FdbRow, PortDetail, PortRow, VlanRow, WorkerRow } from '../switch.ts';

const count = z.number();
const vlanNumber = z.number().int().min(0).max(4094);
const vlanQuery = z.coerce.number().int('a VLAN is a whole number').min(0).max(4094);
/** A group address can be captured, so this is any address. */
const anyMac = z
  .string()
  .regex(/^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$/, 'expected a MAC address (as 02:00:00:00:00:01)');

const ETHERTYPES: Readonly<Record<string, number>> = {
  ipv4: 0x0800,
  arp: 0x0806,
  ipv6: 0x86dd,
  lldp: 0x88cc,
  lacp: 0x8809,
};

/** `0x0800`, `2048` or a name; null when it is none. */
export function parseEtherType(text: string): number | null {
  const value =
    ETHERTYPES[text.toLowerCase()] ?? (/^(0x[0-9a-f]{1,4}|\d{1,5})$/i.test(text) ? Number(text) : Number.NaN);
  return value >= 0 && value <= 0xffff ? value : null;
}

const etherTypeText = z
  .string()
  .refine(
    (text) => parseEtherType(text) !== null,
    `expected 0x0000–0xffff or one of ${Object.keys(ETHERTYPES).join(', ')}`,
  );

const portCounts = z.object({ frames: count, bytes: count, segments: count });

export const bridgeRow = z.object({
  name: z.string(),
  ports: count,
  fdbEntries: count,
  fdbLimit: count,
  ageing: count.describe('seconds'),
}) satisfies z.ZodType<BridgeRow>;

export const portRow = z.object({
  bridge: z.string(),
  name: z.string(),
  kind: z.string(),
  device: z.string().nullable(),
  netns: z.string().nullable(),
  socket: z.string().nullable().describe('where a guest is met'),
  up: z.boolean(),
  reason: z.string().nullable().describe('why the port is down'),
  vlan: z.string().describe('as `access 10` or `trunk 10,20-29`'),
  mtu: count,
  speed: count.nullable().describe('bits per second'),
  receive: portCounts,
  transmit: portCounts,
  missed: z.record(z.string(), count).describe('lost before the switch could read them, by the kernel’s reason'),
  dropped: z.record(z.string(), count).describe('lost in the switch, by reason'),
  fdbEntries: count,
}) satisfies z.ZodType<PortRow>;

export const portDetail = portRow.extend({
  mac: z.string().describe('of a TAP, or one that the port’s guest may use; the same at every start'),
  settings: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string()), z.null()]))
    .describe('the keys of its kind, with defaults'),
  details: z.record(z.string(), z.string()).describe('what is known of the other side'),
}) satisfies z.ZodType<PortDetail>;

export const fdbRow = z.object({
  bridge: z.string(),
  vlan: count,
  mac: z.string(),
  port: z.string(),
  type: z.enum(['learned', 'static', 'sticky']),
  age: count.nullable().describe('seconds since the address was last seen as a source'),
  remote: z.string().nullable().describe('the tunnel’s far end behind which it lives'),
  vni: count.nullable().describe('the network identifier that frames to it get in place of the tunnel’s own'),
}) satisfies z.ZodType<FdbRow>;

export const vlanRow = z.object({
  bridge: z.string(),
  vlans: z.string().describe('a VLAN or a range, as `10` or `11-4094`'),
  tagged: z.array(z.string()),
  untagged: z.array(z.string()),
}) satisfies z.ZodType<VlanRow>;

export const workerRow = z.object({
  index: count,
  cpu: count.nullable(),
  state: z.enum(['starting', 'running', 'restarting', 'stopped']),
  restarts: count,
  turns: count,
  busySeconds: count.describe('seconds of turns that moved a frame'),
  frames: count,
  activeFlows: count.describe('estimated'),
  io: z.enum(['io_uring', 'read/write', 'none']),
}) satisfies z.ZodType<WorkerRow>;

export const dropRow = z.object({
  bridge: z.string().describe('empty of a tunnels’ endpoint, whose name the port is'),
  port: z.string(),
  reason: z.string(),
  meaning: z.string(),
  frames: count,
}) satisfies z.ZodType<DropRow>;

export const applyResult = z.object({
  applied: z.boolean(),
  steps: z.array(z.object({ verb: z.enum(['delete', 'add', 'change']), subject: z.string(), detail: z.string() })),
  undoes: z.array(z.string()).describe('unsaved changes of the running document that this undoes'),
  warnings: z.array(z.string()),
}) satisfies z.ZodType<ApplyResult>;

export const versionAnswer = z.object({ version: z.string(), node: z.string(), pid: count });
export const healthAnswer = z.object({
  status: z.enum(['ok', 'degraded']),
  workersNotRunning: z.array(count),
  portsDown: z.array(z.object({ bridge: z.string(), port: z.string(), reason: z.string().nullable() })),
});
export const savedAnswer = z.object({ file: z.string() });
export const flushedAnswer = z.object({ flushed: count });
export const errorAnswer = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    hint: z.string().nullable(),
    problems: z.array(z.object({ place: z.string(), message: z.string(), line: z.number().optional() })),
  }),
});
export type ErrorAnswer = z.infer<typeof errorAnswer>;

/** The document is checked by config (with lines and cross-checks), so here it is only described. */
export const applyBody = strict('the body', {
  document: z.unknown().meta(described(documentSchema)).optional(),
  yaml: z.string().optional().describe('the document as YAML text, in place of `document`'),
  dryRun: z.boolean().optional(),
});
export const portBody = portSchema;
export const bridgeParams = z.object({ bridge: nameValue });
export const portParams = z.object({ bridge: nameValue, port: nameValue });
/** A port, or a bond's member as `bond/member`. */
const portOrMember = z.string().refine(
  (text) => {
    const names = text.split('/');
    return names.length <= 2 && names.every((name) => nameValue.safeParse(name).success);
  },
  { message: 'expected the name of a port, or of a bond’s member as up/eth1' },
);
export const lookedAtParams = z.object({ bridge: nameValue, port: portOrMember });
export const workerParams = z.object({ index: z.coerce.number().int('a worker is a whole number').min(0) });

export const fdbQuery = strict('the query', {
  bridge: nameValue.optional(),
  port: nameValue.optional(),
  vlan: vlanQuery.optional(),
  mac: anyMac.optional(),
});
export const fdbBody = strict('an entry', {
  vlan: vlanNumber.optional().describe('left out: the port’s own, of its untagged frames'),
  mac: macValue,
  port: nameValue,
  type: z.enum(['static', 'sticky']).default('static'),
  remote: farKeys.remote.describe('of a tunnel: the far end behind which it lives'),
  vni: farKeys.vni.describe('of a tunnel: the network identifier of frames to it, in place of the tunnel’s own'),
});
export const fdbDeleteQuery = strict('the query', { vlan: vlanQuery.default(0), mac: anyMac });
export const flushBody = strict('the body', {
  bridge: nameValue.optional(),
  port: nameValue.optional(),
  vlan: vlanNumber.optional(),
});

/** Bytes of the longest frame there is; more than that is everything. */
export const SNAP_LENGTH_MAX = 262_144;
export const captureQuery = strict('a capture', {
  port: portOrMember,
  bridge: nameValue.optional(),
  direction: z.enum(['in', 'out', 'both']).default('both'),
  vlan: vlanQuery.optional(),
  mac: anyMac.optional(),
  etherType: etherTypeText.optional(),
  snapLength: z.coerce.number().int().min(14).max(SNAP_LENGTH_MAX).default(SNAP_LENGTH_MAX),
  count: z.coerce.number().int().min(1).optional(),
});

/** A schema as OpenAPI 3.1 takes it. */
export function described(schema: z.ZodType): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return rest as Record<string, unknown>;
}

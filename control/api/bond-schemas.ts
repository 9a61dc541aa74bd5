/**
 * Bonds in requests and answers, as zod schemas. Read by the routes only, which load lazily. The row types are switch.ts's; `satisfies`
 * keeps the two together.
 */
import { z } from 'zod';
import { LACP_STATE_NAMES } from '../../dataplane/wire/lacp-value.ts';
import { nameValue, strict } from '../config/values.ts';
import { BOND_MEMBER_STATES, type BondRow, type LacpInfo, type LacpMemberRow } from '../switch.ts';

const count = z.number();
const portCounts = z.object({ frames: count, bytes: count, segments: count });

const lacpInfo = z.object({
  systemPriority: count,
  system: z.string(),
  key: count,
  portPriority: count,
  port: count,
  state: z.array(z.string()).describe(`of ${LACP_STATE_NAMES.join(', ')}: those set`),
}) satisfies z.ZodType<LacpInfo>;

const churn = z.enum(['none', 'monitor', 'churn']);

const lacpMember = z.object({
  actor: lacpInfo,
  partner: lacpInfo.nullable().describe('null before its first LACPDU, and when it was forgotten'),
  aggregator: count.nullable().describe('number of the aggregator’s first port'),
  receive: z.string().describe('state of the receive machine'),
  mux: z.string().describe('state of the mux machine'),
  actorChurn: churn,
  partnerChurn: churn,
  received: count,
  sent: count,
  bad: count.describe('slow-protocol frames that make no sense'),
  markers: count.describe('marker requests that were answered'),
}) satisfies z.ZodType<LacpMemberRow>;

const bondMember = z.object({
  name: z.string(),
  device: z.string().nullable(),
  state: z.enum(BOND_MEMBER_STATES),
  reason: z.string().nullable().describe('why it does not carry'),
  link: z.boolean(),
  speed: count.nullable().describe('bits per second'),
  buckets: count.describe('of 256, that lead to it'),
  load: count.describe('bits per second that these carried of late'),
  failures: count.describe('times that its link, or its targets’ answers, were lost'),
  receive: portCounts,
  transmit: portCounts,
  dropped: z.record(z.string(), count).describe('lost in the switch, by reason'),
  lacp: lacpMember.nullable(),
}) satisfies z.ZodType<BondRow['members'][number]>;

export const bondRow = z.object({
  bridge: z.string(),
  name: z.string(),
  mode: z.string(),
  hash: z.string().nullable(),
  mac: z.string(),
  up: z.boolean(),
  reason: z.string().nullable().describe('why the bond is down'),
  active: z.string().nullable().describe('the member that carries all, or that takes what goes to many'),
  lacp: z.enum(['off', 'configured', 'negotiated', 'fallback']),
  failovers: count.describe('times that another member became active'),
  moved: count.describe('buckets that rebalancing moved'),
  members: z.array(bondMember),
}) satisfies z.ZodType<BondRow>;

export const memberParams = z.object({ bridge: nameValue, port: nameValue, member: nameValue });
export const memberBody = strict('the body', {
  command: z
    .enum(['enable', 'disable', 'activate'])
    .describe('disable takes the member out without loss, enable lets it in again, activate makes it the active one'),
});

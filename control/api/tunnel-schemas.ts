/**
 * Tunnels in requests and answers, as zod schemas. Read by the routes only, which load lazily. The row types are those of tunnel-rows.ts; `satisfies`
 * keeps the two together.
 */
import { z } from 'zod';
import { nameValue, strict } from '../config/values.ts';
import { MTU_VERDICTS, type MtuRow } from '../doctor/mtu.ts';
import {
  TUNNEL_REMOTE_ORIGINS,
  TUNNEL_REMOTE_STATES,
  type TunnelEndpointRow,
  type TunnelRemoteRow,
  type TunnelRow,
  type TunnelSenderRow,
} from '../tunnel-rows.ts';

const count = z.number();

const remote = z.object({
  address: z.string(),
  origin: z
    .enum(TUNNEL_REMOTE_ORIGINS)
    .describe('configured and group get what goes to many; static: an entry of the document names it; learned'),
  vni: count.nullable().describe('the network identifier of its own that a static entry gives it'),
  state: z
    .enum(TUNNEL_REMOTE_STATES)
    .describe('refused: it is there and says that nobody listens; unreachable: there is no way to it'),
  reason: z.string().nullable().describe('why it is not up'),
  device: z.string().nullable().describe('the interface by which it is reached'),
  pathMtu: count.describe('bytes of the longest outer IP packet on the way there; 0: unknown'),
  mtu: count.describe('bytes of the longest inner IP packet that fits; 0: unknown'),
  fdbEntries: count.describe('addresses that live behind it'),
}) satisfies z.ZodType<TunnelRemoteRow>;

const endpoint = z.object({
  name: z.string().describe('as vxlan 192.0.2.1:4789; its losses are told under this name, as a port of no bridge'),
  kind: z.string(),
  datagrams: count,
  messages: count.describe('reads that brought them: several datagrams come as one'),
  merged: count.describe('inner TCP segments that went on as part of another frame'),
  missed: count.describe('datagrams lost in the kernel since the sockets’ buffers were full'),
}) satisfies z.ZodType<TunnelEndpointRow>;

const sender = z.object({
  local: z.string(),
  kind: z.string(),
  datagrams: count,
  messages: count.describe('writes that took them: several datagrams go as one'),
  errors: count.describe('ICMP errors that came back, and what the kernel refused'),
}) satisfies z.ZodType<TunnelSenderRow>;

export const tunnelRow = z.object({
  bridge: z.string(),
  name: z.string(),
  kind: z.enum(['vxlan', 'geneve', 'gre']),
  up: z.boolean(),
  reason: z.string().nullable().describe('why the tunnel is down'),
  vni: count.nullable().describe('VNI, or GRE’s key'),
  vlans: z.array(z.object({ vlan: count, vni: count })).nullable(),
  local: z.string(),
  udpPort: count.nullable().describe('of both sides; null for GRE'),
  group: z.string().nullable().describe('multicast address that gets what goes to many'),
  device: z.string().nullable().describe('the interface by which the group is reached'),
  mtu: count.describe('bytes of the longest inner IP packet'),
  mtuFixed: z.boolean().describe('the document says the MTU; else it follows the underlay'),
  mtuUnderlay: count.describe('bytes of the longest inner IP packet that every remote’s way takes; 0: unknown'),
  df: z.boolean().describe('outer packets may not be fragmented'),
  overhead: count.describe('bytes that the outer IP packet has beyond the inner one'),
  tooLarge: z.array(z.string()).describe('TAPs of its bridge with a larger MTU that weft may not change'),
  remoteLimit: count.describe('remotes that may be learned'),
  remotes: z.array(remote),
  endpoint: endpoint.nullable().describe('the sockets that receive, shared by all tunnels of this address and port'),
  sender: sender.nullable().describe('the sockets that send, shared by tunnels of the same options'),
}) satisfies z.ZodType<TunnelRow>;

export const mtuBody = strict('the body', {
  bridge: nameValue.optional(),
  tunnel: nameValue.optional().describe('its remotes alone'),
});

export const mtuRow = z.object({
  local: z.string(),
  remote: z.string(),
  tunnels: z.array(z.string()).describe('that send by this way, as bridge/name'),
  needed: count.describe('bytes of the longest outer IP packet that one of them sends'),
  route: count.describe('bytes that the route says fit; 0: unknown'),
  passed: count.nullable().describe('bytes of the longest packet that came through; null: none did'),
  verdict: z
    .enum(MTU_VERDICTS)
    .describe(
      'lost: long packets vanish on the way; short: the way takes less than is needed, and says so; silent: no echo request is answered',
    ),
  problem: z.string().nullable(),
  remedy: z.string().nullable(),
}) satisfies z.ZodType<MtuRow>;

/** A line of the answer: how many pairs there are, each as soon as it is known, and the end. */
export const mtuLine = z.discriminatedUnion('type', [
  z.object({ type: z.literal('begin'), pairs: count }),
  z.object({ type: z.literal('pair'), ...mtuRow.shape }),
  z.object({ type: z.literal('end') }),
]);
export type MtuLine = z.infer<typeof mtuLine>;

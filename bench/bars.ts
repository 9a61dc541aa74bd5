// The bars that Weft has set itself, and the verdict on a measured value. Pure; the only place that knows these numbers.
// Keys are scenario|variant|against, as the rows of a report name them; an absent key means: measured, but no bar.

export const DIRECTION = { atLeast: 'at least', atMost: 'at most' } as const;
export type Direction = (typeof DIRECTION)[keyof typeof DIRECTION];

export interface Bar {
  readonly direction: Direction;
  readonly must: number;
  readonly aim: number;
}

export const VERDICT = { aim: 'aim met', must: 'met', missed: 'MISSED', none: '–' } as const;
export type Verdict = (typeof VERDICT)[keyof typeof VERDICT];

const atLeast = (must: number, aim: number): Bar => ({ direction: DIRECTION.atLeast, must, aim });
const atMost = (must: number, aim: number): Bar => ({ direction: DIRECTION.atMost, must, aim });

const BARS: Readonly<Record<string, Bar>> = {
  'tcp|pinned|linux-bridge': atLeast(0.75, 1),
  'tcp|unpinned|linux-bridge': atLeast(0.65, 1),
  'tcp|pinned|ovs-userspace-tso': atLeast(1, 1.3),
  'tcp|unpinned|ovs-userspace-tso': atLeast(1, 1.3),
  'tcp|pinned|ovs-userspace': atLeast(3.5, 5),
  'tcp|unpinned|ovs-userspace': atLeast(3.5, 5),
  'frames-60|pinned|linux-bridge': atLeast(0.75, 1),
  'frames-60|pinned|ovs-userspace': atLeast(2, 2.5),
  'frames-60|pinned|ovs-userspace-tso': atLeast(2, 2.5),
  'netdev|TCP pinned|linux-bridge': atLeast(0.7, 0.9),
  'netdev|TCP pinned|ovs-userspace': atLeast(1, 1.5),
  'netdev|TCP pinned|ovs-userspace-tso': atLeast(1, 1.5),
  'netdev|TCP pinned|ovs-userspace-veth': atLeast(1, 1.5),
  'netdev|TCP pinned|ovs-userspace-tso-veth': atLeast(1, 1.5),
  'netdev|TCP unpinned|linux-bridge': atLeast(0.7, 0.9),
  'netdev|TCP unpinned|ovs-userspace': atLeast(1, 1.5),
  'netdev|TCP unpinned|ovs-userspace-tso': atLeast(1, 1.5),
  'netdev|TCP unpinned|ovs-userspace-veth': atLeast(1, 1.5),
  'netdev|TCP unpinned|ovs-userspace-tso-veth': atLeast(1, 1.5),
  'netdev|60 B|linux-bridge': atLeast(0.8, 1),
  'netdev|60 B|ovs-userspace': atLeast(2, 3),
  'netdev|60 B|ovs-userspace-tso': atLeast(2, 3),
  'netdev|60 B|ovs-userspace-veth': atLeast(2, 3),
  'netdev|60 B|ovs-userspace-tso-veth': atLeast(2, 3),
  'sockets|60 B|vde': atLeast(2, 5),
  'sockets|1,514 B|vde': atLeast(2, 5),
  'round-trip|busy p50|veth': atMost(3, 1.5),
  'round-trip|busy p99|veth': atMost(20, 10),
  'round-trip|adaptive under load p50|veth': atMost(5, 2.5),
  'round-trip|adaptive under load p99|veth': atMost(40, 20),
  'thousand-taps|1,000 TAPs vs 2|weft': atLeast(0.9, 0.98),
  'idle-cpu|1,000 TAPs|': atMost(1, 0.1),
  'start|2 ports|': atMost(0.5, 0.25),
  'start|1,000 ports|': atMost(10, 3),
  'memory|default configuration|': atMost(200, 120),
  'churn|A↔B frames lost|': atMost(0, 0),
  'worker-kill|outage|': atMost(100, 20),
  'worker-kill|lost on other flows|': atMost(0, 0),
  'bond-failover|carrier lost: outage|': atMost(20, 2),
  'bond-failover|planned: frames lost|': atMost(0, 0),
  'bond-tcp|active-backup|netdev port': atLeast(0.9, 0.98),
  'bond-tcp|balance-slb|netdev port': atLeast(0.9, 0.98),
  'lacp-silent|fast: members out|': atMost(3.25, 3.05),
  'vxlan-tcp|unpinned|kernel-vxlan': atLeast(0.5, 0.8),
  'vxlan-tcp|unpinned|ovs-vxlan': atLeast(1.2, 2),
  'vxlan-tcp|unpinned|ovs-vxlan-tso': atLeast(1.2, 2),
  'vxlan-60|unpinned|kernel-vxlan': atLeast(1.2, 1.75),
  'vxlan-60|unpinned|ovs-vxlan': atLeast(2, 4),
  'vxlan-60|unpinned|ovs-vxlan-tso': atLeast(2, 4),
  'vxlan-kernel-peer|to the kernel|kernel-vxlan': atLeast(0.3, 0.6),
  'vxlan-kernel-peer|from the kernel|kernel-vxlan': atLeast(0.3, 0.6),
  'vxlan-flood|100 remotes|sendmmsg': atLeast(0.5, 0.8),
  'guests-64|vhost-user ↔ vhost-user|ovs-dpdk': atLeast(1.25, 1.5),
  'guests-512|vhost-user ↔ vhost-user|ovs-dpdk': atLeast(2, 2.5),
  'guests-1518|vhost-user ↔ vhost-user|ovs-dpdk': atLeast(1.6, 2),
  'guests-9000|vhost-user ↔ vhost-user|ovs-dpdk': atLeast(1.5, 2),
  'guests-64|vhost-user ↔ vhost-user|dpdk-patch': atLeast(0.8, 1),
  'guests-512|vhost-user ↔ vhost-user|dpdk-patch': atLeast(1.5, 2),
  'guests-1518|vhost-user ↔ vhost-user|dpdk-patch': atLeast(1.4, 1.8),
  'guests-64|busy time per frame|': atMost(50, 30),
  'guests-vlan|64 B: push and pop vs neither|weft': atLeast(0.9, 0.95),
  'guests-vlan|512 B: push and pop vs neither|weft': atLeast(0.9, 0.95),
  'guests-idle|16 guests|': atMost(1, 0.1),
};

/** The bar for a row, or null when there is none. `against` is '' for an absolute value. */
export function findBar(scenario: string, variant: string, against: string): Bar | null {
  return BARS[`${scenario}|${variant}|${against}`] ?? null;
}

/** The verdict on `value`, which must be in the bar's unit. */
export function judge(value: number, bar: Bar | null): Verdict {
  if (bar === null) return VERDICT.none;
  const reaches = (limit: number) => (bar.direction === DIRECTION.atLeast ? value >= limit : value <= limit);
  if (reaches(bar.aim)) return VERDICT.aim;
  return reaches(bar.must) ? VERDICT.must : VERDICT.missed;
}

// What `bench path` measures: one record per scenario, each run in a process of its own. Pure; read by run.ts and run-one.ts.
import type { Bar } from '../bars.ts';

/** How ports are set up and which of them send; the stand makes ports and frames from it. */
export const TRAFFIC = {
  /** Two access ports of one VLAN, each to the other: nothing in the frame changes. */
  unicast: 'unicast',
  /** An access port and a trunk, each to the other: a tag pushed one way, popped the other. */
  vlan: 'vlan',
  push: 'push',
  pop: 'pop',
  /** One access port floods to eight others of the same form. */
  flood8: 'flood8',
  /** One access port floods to four access ports and four trunks: two forms. */
  flood8Forms: 'flood8-forms',
  /** An access port and a bond of two members, each to the other, in turns with two access ports in the same process: what the bond costs. */
  bond: 'bond',
  /** The same for a bond of one member that carries, which needs no hash. */
  bondActive: 'bond-active',
  /** An access port to a VXLAN tunnel with 16 remotes; and what comes by the tunnel to the access port, in bursts of one remote. */
  vxlan: 'vxlan',
  vxlanIn: 'vxlan-in',
  /** Trunks to tunnels that map VLANs to 10,000 VNIs, in turns with a trunk and a tunnel that maps one; and the way back. */
  vnis: 'vni-10000',
  vnisIn: 'vni-10000-in',
} as const;
export type Traffic = (typeof TRAFFIC)[keyof typeof TRAFFIC];

export interface Scenario {
  readonly name: string;
  readonly traffic: Traffic;
  readonly frameBytes: number;
  readonly addresses: number;
  /** 'rate': known addresses, over and over. 'learning': an empty database is taught every address once (RFC 2889, 5.7 and 5.8). */
  readonly kind: 'rate' | 'learning' | 'cost';
  /** Million frames a second; of a cost, nanoseconds a frame more than its plain twin, or for VNIs how many times as many. */
  readonly bar: Bar | null;
}

export const SIZES = [64, 128, 512, 1518, 9000] as const;
const ADDRESSES = [
  ['16', 16],
  ['1k', 1024],
  ['16k', 16_384],
  ['1m', 1_000_000],
] as const;
/** On either side of the tunnels: two of each VNI, and for the one VNI as many. */
const VNI_ADDRESSES = 20_004;
const BAR_1K: Bar = { direction: 'at least', must: 20, aim: 40 };
const BAR_BOND: Bar = { direction: 'at most', must: 6, aim: 3 };
const BAR_VXLAN: Bar = { direction: 'at least', must: 12, aim: 25 };
const BAR_VNIS: Bar = { direction: 'at most', must: 1.15, aim: 1.05 };
const BAR_1M: Bar = { direction: 'at least', must: 6, aim: 15 };

function rate(traffic: Traffic, frameBytes: number, addresses: number, tail: string, bar: Bar | null = null): Scenario {
  return { name: `${traffic}-${frameBytes}${tail}`, traffic, frameBytes, addresses, kind: 'rate', bar };
}

function allScenarios(): Scenario[] {
  const found: Scenario[] = [];
  found.push(rate(TRAFFIC.vlan, 64, 1024, '', BAR_1K), rate(TRAFFIC.vlan, 64, 1_000_000, '-1m', BAR_1M));
  for (const [name, addresses] of ADDRESSES)
    for (const bytes of SIZES)
      found.push(rate(TRAFFIC.unicast, bytes, addresses, addresses === 1024 ? '' : `-${name}`));
  for (const bytes of SIZES) {
    if (bytes !== 64) found.push(rate(TRAFFIC.vlan, bytes, 1024, ''));
    found.push(rate(TRAFFIC.flood8, bytes, 1024, ''));
  }
  found.push(rate(TRAFFIC.flood8Forms, 64, 1024, ''));
  found.push(rate(TRAFFIC.push, 64, 1024, ''), rate(TRAFFIC.pop, 64, 1024, ''));
  for (const traffic of [TRAFFIC.bond, TRAFFIC.bondActive])
    found.push({ name: `${traffic}-64`, traffic, frameBytes: 64, addresses: 1024, kind: 'cost', bar: BAR_BOND });
  found.push(rate(TRAFFIC.vxlan, 64, 1024, '', BAR_VXLAN));
  found.push({ ...rate(TRAFFIC.vxlanIn, 64, 1024, ''), name: 'vxlan-64-in' });
  for (const traffic of [TRAFFIC.vnis, TRAFFIC.vnisIn])
    found.push({ name: traffic, traffic, frameBytes: 64, addresses: VNI_ADDRESSES, kind: 'cost', bar: BAR_VNIS });
  for (const [name, addresses] of [...ADDRESSES.slice(1), ['256k', 262_144] as const]) {
    found.push({
      name: `learning-${name}`,
      traffic: TRAFFIC.unicast,
      frameBytes: 64,
      addresses,
      kind: 'learning',
      bar: null,
    });
  }
  return found;
}

export const PATH_SCENARIOS: readonly Scenario[] = allScenarios();

/** The scenarios that `--only` names: exact names, or a prefix up to a dash (`unicast`, `learning`). Empty: all. */
export function chooseScenarios(only: readonly string[]): Scenario[] {
  return PATH_SCENARIOS.filter(
    ({ name }) => only.length === 0 || only.some((wanted) => name === wanted || name.startsWith(`${wanted}-`)),
  );
}

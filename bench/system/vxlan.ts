// Scenarios vxlan-tcp, vxlan-60, vxlan-kernel-peer: containers of two machines, joined by VXLAN over a veth underlay. Weft on both machines, or
// weft on one and the kernel on the other, against what people use: the kernel on both, Open vSwitch's userspace datapath on both.
import { VXLAN_PEERS } from '../peers/all.ts';
import type { Peer } from '../peers/peer.ts';
import { vxlanPeer } from '../peers/vxlan.ts';
import { kernelHalf, kernelVxlan } from '../peers/vxlan-kernel.ts';
import { weftHalf, weftVxlan } from '../peers/vxlan-weft.ts';
import type { Measurement } from '../row.ts';
import { type Context, compareRates, type Scenario } from './context.ts';
import { frameRate } from './frames.ts';
import { streamRate } from './tcp.ts';
import { missingTool } from './tools.ts';

export const vxlanTcp: Scenario = {
  name: 'vxlan-tcp',
  about: 'one TCP stream (iperf3) from a container through VXLAN to a container of another machine',
  weftOnly: false,
  run: async (context) => {
    const own = await vxlanContext(context, 'vxlan-tcp', 'iperf3');
    if (own === null) return [];
    const what = { scenario: 'vxlan-tcp', variant: 'unpinned', unit: 'Gb/s', setting: { pinned: false } };
    return compareRates(own, what, (bench) => streamRate(bench, context.seconds, false));
  },
};

export const vxlan60: Scenario = {
  name: 'vxlan-60',
  about: '60-byte frames (trafgen) from a container through VXLAN to a container of another machine',
  weftOnly: false,
  run: async (context) => {
    const own = await vxlanContext(context, 'vxlan-60', 'trafgen');
    if (own === null) return [];
    const what = { scenario: 'vxlan-60', variant: 'unpinned', unit: 'kframes/s', setting: { pinned: false } };
    return compareRates(own, what, (bench) => frameRate(bench, context.seconds));
  },
};

const TO_KERNEL = vxlanPeer('weft', 'this switch on one machine, the kernel on the other', weftHalf, kernelHalf);
const FROM_KERNEL = vxlanPeer('weft', 'the kernel on one machine, this switch on the other', kernelHalf, weftHalf);

export const vxlanKernelPeer: Scenario = {
  name: 'vxlan-kernel-peer',
  about: 'one TCP stream to and from a machine with the kernel’s bridge and vxlan device, nothing switched off',
  weftOnly: true,
  run: async (context) => {
    const missing = missingTool('iperf3') ?? (await kernelVxlan.available());
    if (missing !== null) {
      context.skip(`vxlan-kernel-peer: ${missing}`);
      return [];
    }
    const rows: Measurement[] = [];
    for (const [variant, subject] of [
      ['to the kernel', TO_KERNEL],
      ['from the kernel', FROM_KERNEL],
    ] as const) {
      const what = { scenario: 'vxlan-kernel-peer', variant, unit: 'Gb/s', setting: { pinned: false } };
      const own = { ...context, subject, others: [kernelVxlan] };
      rows.push(...(await compareRates(own, what, (bench) => streamRate(bench, context.seconds, false))));
    }
    return rows;
  },
};

/** Which tunnel stands for a switch that was asked for. */
const TWINS: Readonly<Record<string, string>> = {
  weft: 'weft-vxlan',
  'linux-bridge': 'kernel-vxlan',
  'ovs-userspace': 'ovs-vxlan',
  'ovs-userspace-tso': 'ovs-vxlan-tso',
};

/** The same context with tunnels for switches, or null when that can't be measured here. Bars are weft's, so the subject keeps its name. */
async function vxlanContext(context: Context, scenario: string, tool: 'iperf3' | 'trafgen'): Promise<Context | null> {
  const asked = [context.subject, ...context.others].map(({ name }) => TWINS[name] ?? name);
  const subject = VXLAN_PEERS.find(({ name }) => name === asked[0]);
  const missing = missingTool(tool) ?? (subject === undefined ? `${context.subject.name} has no tunnels here` : null);
  if (subject === undefined || missing !== null) {
    context.skip(`${scenario}: ${missing}`);
    return null;
  }
  const others: Peer[] = [];
  for (const peer of VXLAN_PEERS)
    if (peer !== subject && asked.includes(peer.name) && (await peer.available()) === null) others.push(peer);
  return { ...context, subject: subject === weftVxlan ? { ...subject, name: 'weft' } : subject, others };
}

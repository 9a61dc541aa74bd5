/**
 * Tunnels that would run through themselves, as far as the document tells: the local address, or the group's interface, is a port of the
 * bridge that the tunnel is in. What only the running machine knows (routes) is found out there. Called by tunnel-checks.ts; pure.
 */
import { isTunnelKind } from '../model/tunnel.ts';
import { carriedVlans, vlanModel } from '../model/vlan.ts';
import { bitmapOf, hasVlan, type VlanBitmap } from '../model/vlan-set.ts';
import { vlanSchema } from './document.ts';
import {
  type BridgeOutline,
  deviceOf,
  leavesOf,
  type MemberOutline,
  type Outline,
  type PortOutline,
  recordOf,
  textOf,
  textsOf,
} from './outline.ts';
import { type PlacedProblem, problemAt } from './problems.ts';
import { underlayAddress } from './underlay-address.ts';

const REMEDY = 'give the tunnel a bridge of its own, or keep the two in different VLANs';

/** VLANs that a port carries, or null where its document is wrong. */
function carriedBy({ raw }: PortOutline): VlanBitmap | null {
  if (raw.vlans !== undefined) {
    const vlans = Object.keys(recordOf(raw.vlans)).map(Number);
    return vlans.every((vlan) => vlan >= 1 && vlan <= 4094) ? bitmapOf(vlans) : null;
  }
  const parsed = vlanSchema.optional().safeParse(raw.vlan);
  return parsed.success ? carriedVlans(vlanModel(parsed.data)) : null;
}

/** The lowest VLAN that both carry, or null. */
function commonVlan(a: PortOutline, b: PortOutline): number | null {
  const [one, other] = [carriedBy(a), carriedBy(b)];
  if (one === null || other === null) return null;
  for (let vlan = 0; vlan <= 4094; vlan++) if (hasVlan(one, vlan) && hasVlan(other, vlan)) return vlan;
  return null;
}

/** A TAP by which this machine itself is in the bridge. */
function isHostTap({ kind, raw }: MemberOutline): boolean {
  return kind === 'tap' && raw.netns === undefined;
}

function hasAddress({ raw }: PortOutline, text: string): boolean {
  const addresses = [...textsOf(raw.address), ...textsOf(raw.addresses)];
  return addresses.some((address) => underlayAddress(address.split('/')[0])?.text === text);
}

function checkBridge({ ports }: BridgeOutline, problems: PlacedProblem[]): void {
  const taps = ports.filter(isHostTap);
  for (const tunnel of ports) {
    if (!isTunnelKind(tunnel.kind)) continue;
    const local = underlayAddress(tunnel.raw.local);
    for (const tap of taps) {
      const byAddress = local !== null && hasAddress(tap, local.text);
      const byDevice = tunnel.raw.device !== undefined && deviceOf(tap) === textOf(tunnel.raw.device);
      const vlan = byAddress || byDevice ? commonVlan(tunnel, tap) : null;
      if (vlan === null) continue;
      const what = byAddress ? `${local.text} is an address of` : 'is the device of';
      const text = `${what} the tap port "${tap.name}" of this bridge, which VLAN ${vlan} joins to the tunnel`;
      const place = [...tunnel.path, byAddress ? 'local' : 'device'];
      problems.push(problemAt(place, `${text}: it would carry itself; ${REMEDY}`));
    }
  }
}

/** What arrives at an interface that is a port is the bridge's, and not this machine's own. */
function checkDevices(outline: Outline, problems: PlacedProblem[]): void {
  const taken = new Map<string, MemberOutline>();
  for (const port of leavesOf(outline.ports)) {
    const device = port.kind === 'netdev' ? deviceOf(port) : null;
    if (device !== null) taken.set(device, port);
  }
  for (const { kind, raw, path } of outline.ports) {
    const port = isTunnelKind(kind) ? taken.get(textOf(raw.device) ?? '') : undefined;
    if (port === undefined) continue;
    const text = `${raw.device} is the port "${port.name}" of bridge ${port.bridge}: groups don’t reach this machine by it`;
    problems.push(problemAt([...path, 'device'], `${text}; name a tap port’s device of that bridge`));
  }
}

export function checkUnderlays(outline: Outline, problems: PlacedProblem[]): void {
  for (const bridge of outline.bridges) checkBridge(bridge, problems);
  checkDevices(outline, problems);
}

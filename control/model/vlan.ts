/**
 * How a port carries VLANs, normalised. The truth is Open vSwitch's: ovs-vswitchd.conf.db(5), table Port, "VLAN
 * Configuration". Called by config's checks, the model and the compiler, on the main thread; pure.
 */
import type { VlanDocument, VlanMode } from '../config/document.ts';
import { addVlan, bitmapOf, expandVlans, formatVlans, fullBitmap, hasVlan, type VlanBitmap } from './vlan-set.ts';

export interface VlanModel {
  readonly mode: VlanMode;
  /** The access VLAN, native VLAN or service VLAN; null for a trunk. */
  readonly tag: number | null;
  /** Sorted; null is every VLAN. Without the native VLAN unless it was written. Null in modes without trunks. */
  readonly trunks: readonly number[] | null;
  /** Customer VLANs that a dot1q-tunnel admits, sorted; 0 is an untagged frame; null is every one. */
  readonly cvlans: readonly number[] | null;
  /** The TPID that a service tag has where it shows. */
  readonly etherType: 0x88a8 | 0x8100;
  /** Whether a frame of VLAN 0 leaves with a tag that carries only its priority. */
  readonly priorityTags: 'never' | 'if-nonzero' | 'always';
}

/** The mode of a `vlan` that names none. */
export function defaultVlanMode(hasTag: boolean): VlanMode {
  return hasTag ? 'access' : 'trunk';
}

/** A port without `vlan` is a trunk of all VLANs whose untagged frames are in VLAN 0. */
export function vlanModel(vlan: VlanDocument | undefined): VlanModel {
  const mode = vlan?.mode ?? defaultVlanMode(vlan?.tag !== undefined);
  const takesTrunks = mode === 'trunk' || mode === 'native-tagged' || mode === 'native-untagged';
  const written = vlan?.['priority-tags'] ?? 'never';
  return {
    mode,
    tag: mode === 'trunk' ? null : (vlan?.tag ?? null),
    trunks: takesTrunks && vlan?.trunks !== undefined ? expandVlans(vlan.trunks) : null,
    cvlans: mode === 'dot1q-tunnel' && vlan?.cvlans !== undefined ? expandVlans(vlan.cvlans) : null,
    etherType: mode === 'dot1q-tunnel' && vlan?.ethertype === '802.1q' ? 0x8100 : 0x88a8,
    priorityTags: written === 'no' ? 'never' : written,
  };
}

/** The VLANs of which frames may enter and leave at the port: a native VLAN is always among them. */
export function carriedVlans(vlan: VlanModel): VlanBitmap {
  if (vlan.mode === 'access' || vlan.mode === 'dot1q-tunnel') return bitmapOf(vlan.tag === null ? [] : [vlan.tag]);
  const bitmap = vlan.trunks === null ? fullBitmap() : bitmapOf(vlan.trunks);
  if (vlan.tag !== null) addVlan(bitmap, vlan.tag);
  return bitmap;
}

export function carriesVlan(vlan: VlanModel, tag: number): boolean {
  return hasVlan(carriedVlans(vlan), tag);
}

/** Whether a VLAN (0: frames without a tag) joins two ports of a bridge. */
export function shareVlan(a: VlanModel, b: VlanModel): boolean {
  const other = carriedVlans(b);
  return carriedVlans(a).some((word, k) => (word & other[k]!) !== 0);
}

/** As a person writes it: `access 10`, `trunk 10,20-29`, `trunk all`, `native-untagged 10 trunk 10,20`, `dot1q-tunnel 100`. */
export function describeVlan(vlan: VlanModel): string {
  const trunks = vlan.trunks === null ? 'all' : formatVlans(vlan.trunks);
  if (vlan.mode === 'trunk') return `trunk ${trunks}`;
  if (vlan.mode === 'native-tagged' || vlan.mode === 'native-untagged')
    return `${vlan.mode} ${vlan.tag} trunk ${trunks}`;
  return `${vlan.mode} ${vlan.tag}${vlan.cvlans === null ? '' : ` cvlans ${formatVlans(vlan.cvlans)}`}`;
}

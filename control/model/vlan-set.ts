/**
 * Sets of VLANs on the cold side: as sorted arrays in the model, as bitmaps for the compiler, as ranges for people.
 * Called by config, model and compile on the main thread. VLAN 0 stands for frames without a tag, as in Open vSwitch;
 * 4095 is reserved (IEEE 802.1Q table 9-2) and never in a set.
 */

export const VLAN_MIN = 1;
export const VLAN_MAX = 4094;
/** Words of a bitmap: one bit for each of 4096 VLANs. */
export const VLAN_BITMAP_WORDS = 128;

/** 4096 bits; bit `v & 31` of word `v >> 5` is VLAN v. */
export type VlanBitmap = Uint32Array;

/** A range as written, before anything is known to be right. */
export interface VlanRange {
  readonly from: number;
  readonly to: number;
}

/** What is wrong with one item of a VLAN list, or the range that it is. */
export type RangeResult = { readonly range: VlanRange } | { readonly problem: string };

const ALLOWED = `${VLAN_MIN}–${VLAN_MAX}, or 0 for frames without a tag`;

function outside(vlan: number): boolean {
  return !Number.isInteger(vlan) || vlan < 0 || vlan > VLAN_MAX;
}

/** Reads one item of a `trunks` or `cvlans` list: a number, or text as `10` or `20-29`. */
export function parseVlanRange(item: number | string): RangeResult {
  if (typeof item === 'number') {
    return outside(item) ? { problem: `${item} is not a VLAN (${ALLOWED})` } : { range: { from: item, to: item } };
  }
  const text = item.trim();
  if (/^-\s*\d+$/.test(text))
    return { problem: `"${item}" is negative, or a range whose minimum is missing (as 20-29)` };
  if (/^\d+$/.test(text)) return parseVlanRange(Number(text));
  if (/^-$/.test(text)) return { problem: `"${item}" is a range without its ends (as 20-29)` };
  if (/^\d+\s*-$/.test(text)) return { problem: `"${item}" is a range whose maximum is missing (as 20-29)` };
  const match = /^(-?\d+)\s*-\s*(-?\d+)$/.exec(text);
  if (match === null) return { problem: `"${item}" is neither a VLAN nor a range (as 10 or 20-29)` };
  const from = Number(match[1]);
  const to = Number(match[2]);
  for (const end of [from, to]) if (outside(end)) return { problem: `${end} in "${item}" is not a VLAN (${ALLOWED})` };
  if (to < from) return { problem: `"${item}" ends below its start (as ${to}-${from})` };
  return { range: { from, to } };
}

/** The VLANs of a checked list, sorted, each once; throws a RangeError on an item that `parseVlanRange` refuses. */
export function expandVlans(list: readonly (number | string)[]): number[] {
  const all = new Set<number>();
  for (const item of list) {
    const result = parseVlanRange(item);
    if ('problem' in result) throw new RangeError(result.problem);
    for (let vlan = result.range.from; vlan <= result.range.to; vlan++) all.add(vlan);
  }
  return [...all].sort((a, b) => a - b);
}

/** A sorted list as people write it: `10,20-29`. */
export function formatVlans(vlans: readonly number[]): string {
  const parts: string[] = [];
  let at = 0;
  while (at < vlans.length) {
    let end = at;
    while (end + 1 < vlans.length && vlans[end + 1] === vlans[end]! + 1) end++;
    parts.push(end === at ? `${vlans[at]}` : `${vlans[at]}-${vlans[end]}`);
    at = end + 1;
  }
  return parts.join(',');
}

export function emptyBitmap(): VlanBitmap {
  return new Uint32Array(VLAN_BITMAP_WORDS);
}

/** Every VLAN that a frame can be in: 0 (no tag) to 4094. */
export function fullBitmap(): VlanBitmap {
  const bitmap = emptyBitmap().fill(0xffff_ffff);
  removeVlan(bitmap, 4095);
  return bitmap;
}

export function bitmapOf(vlans: Iterable<number>): VlanBitmap {
  const bitmap = emptyBitmap();
  for (const vlan of vlans) addVlan(bitmap, vlan);
  return bitmap;
}

export function addVlan(bitmap: VlanBitmap, vlan: number): void {
  bitmap[vlan >> 5]! |= 1 << (vlan & 31);
}

export function removeVlan(bitmap: VlanBitmap, vlan: number): void {
  bitmap[vlan >> 5]! &= ~(1 << (vlan & 31));
}

export function hasVlan(bitmap: VlanBitmap, vlan: number): boolean {
  return ((bitmap[vlan >> 5]! >>> (vlan & 31)) & 1) === 1;
}

/** The bitmap's VLANs, sorted. */
export function vlansOf(bitmap: VlanBitmap): number[] {
  const vlans: number[] = [];
  for (let vlan = 0; vlan <= VLAN_MAX; vlan++) if (hasVlan(bitmap, vlan)) vlans.push(vlan);
  return vlans;
}

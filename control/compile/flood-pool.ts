/**
 * The pool of flood sets of one copy of the tables. VLANs of a bridge that have the same members in the same forms share a set: a
 * bridge of a thousand trunks needs one set, not 4,096. Called by tables.ts on the main thread.
 */

import { VLANS_COUNT } from '../../dataplane/limits.ts';
import { Form, SET_FORM_SHIFT } from '../../dataplane/tables/flood-layout.ts';
import { RequestError } from '../errors.ts';
import type { VlanModel } from '../model/vlan.ts';
import { hasVlan, type VlanBitmap } from '../model/vlan-set.ts';
import type { TablePort } from './table-port.ts';

/**
 * The form in which a port sends a frame of this VLAN; the same truth as path/shape.ts reads from a record. `mapped`: a tunnel whose VNIs
 * stand for VLANs, so that none shows.
 */
export function formOf(vlan: VlanModel, vid: number, mapped = false): number {
  if (mapped) return Form.UNTAGGED;
  if (vid !== 0) {
    if (vlan.mode === 'trunk' || vlan.mode === 'native-tagged') return Form.TAGGED;
    if (vlan.mode === 'native-untagged' && vid !== vlan.tag) return Form.TAGGED;
  }
  if (vlan.priorityTags === 'never') return Form.UNTAGGED;
  return vlan.priorityTags === 'always' ? Form.PRIORITY : Form.PRIORITY_IF_NONZERO;
}

function isMapped({ tunnel }: TablePort): boolean {
  return tunnel !== null && tunnel.vlans !== null;
}

function formIn(port: TablePort, vid: number): number {
  return formOf(port.vlan, vid, isMapped(port));
}

export class FloodPool {
  readonly #words: Int32Array;
  // Word 0 is the empty set, which every VLAN without members shares.
  #used = 1;

  constructor(words: Int32Array) {
    this.#words = words;
    words[0] = 0;
  }

  /** Puts words into the pool; answers where, in words from the pool's start. */
  add(words: ArrayLike<number>): number {
    const at = this.#used;
    if (at + words.length > this.#words.length) {
      throw new RequestError(
        'flood-sets-too-large',
        `the bridges' VLANs and tunnels have more than ${this.#words.length} members and remotes together`,
        'give trunks the VLANs that they need, and tunnels the remotes',
      );
    }
    for (let k = 0; k < words.length; k++) this.#words[at + k] = words[k]! | 0;
    this.#used += words.length;
    return at;
  }

  /** Writes the set of every VLAN of one bridge into its stretch of the index. */
  writeSets(index: Int32Array, ports: readonly TablePort[], carried: ReadonlyMap<number, VlanBitmap>): void {
    let previous = '';
    let previousAt = 0;
    const known = new Map<string, number>();
    const classes = classesOf(ports);
    for (let vid = 0; vid < VLANS_COUNT - 1; vid++) {
      // Which class of ports carries this VLAN and how: ports of one class are never told apart.
      const key = classes.map((members) => classKey(members[0]!, vid, carried)).join();
      if (key !== previous || vid === 0) {
        previous = key;
        previousAt = known.get(key) ?? this.#addSet(classes, vid, carried);
        known.set(key, previousAt);
      }
      index[vid] = previousAt;
    }
  }

  #addSet(classes: readonly (readonly TablePort[])[], vid: number, carried: ReadonlyMap<number, VlanBitmap>): number {
    const members: number[] = [];
    for (const ports of classes) {
      if (!hasVlan(carried.get(ports[0]!.number)!, vid)) continue;
      const form = formIn(ports[0]!, vid) << SET_FORM_SHIFT;
      for (const port of ports) members.push(port.number | form);
    }
    if (members.length === 0) return 0;
    members.sort((a, b) => (a & 0xffff) - (b & 0xffff));
    return this.add([members.length, ...members]);
  }
}

/** Ports grouped by equal forms in all VLANs: 1,000 ports are usually few classes, and only classes are compared per VLAN. */
function classesOf(ports: readonly TablePort[]): TablePort[][] {
  const classes = new Map<string, TablePort[]>();
  for (const port of ports) {
    const key = JSON.stringify([port.vlan, isMapped(port)]);
    const members = classes.get(key);
    if (members === undefined) classes.set(key, [port]);
    else members.push(port);
  }
  return [...classes.values()];
}

function classKey(port: TablePort, vid: number, carried: ReadonlyMap<number, VlanBitmap>): string {
  return hasVlan(carried.get(port.number)!, vid) ? String(formIn(port, vid)) : '-';
}

/**
 * Compiles what ports and bridges are into one copy of the flat tables that workers read. Called on the main thread, on the copy that
 * no worker uses; publishing it is running/foundation.ts’s business. Writes nothing outside the copy.
 */

import { BRIDGES_MAX, PORTS_MAX, VLANS_COUNT } from '../../dataplane/limits.ts';
import {
  BRIDGE_WORDS,
  FLOOD_POOL_WORDS,
  Header,
  MEMBERSHIP_WORDS,
  PORT_WORDS,
  TABLE_BRIDGES_AT,
  TABLE_BYTES,
  TABLE_FLOOD_INDEX_AT,
  TABLE_FLOOD_POOL_AT,
  TABLE_MEMBERSHIP_AT,
  TABLE_PORTS_AT,
  TABLE_VNIS_AT,
} from '../../dataplane/memory/layout.ts';
import type { View } from '../../dataplane/memory/view.ts';
import { BridgeWord, PortFlag, PortWord, PriorityTags, VlanMode } from '../../dataplane/tables/port-layout.ts';
import { RequestError } from '../errors.ts';
import { carriedVlans, type VlanModel } from '../model/vlan.ts';
import { bitmapOf, type VlanBitmap } from '../model/vlan-set.ts';
import { FloodPool } from './flood-pool.ts';
import type { TableBridge, TablePort, TableTunnel } from './table-port.ts';
import { headerOf, outerOf, tunnelFlags, vniMap, vniWord } from './tunnel-words.ts';
import { countVnis, writeVnis } from './vni-table.ts';

const MODES: Readonly<Record<VlanModel['mode'], number>> = {
  trunk: VlanMode.TRUNK,
  access: VlanMode.ACCESS,
  'native-tagged': VlanMode.NATIVE_TAGGED,
  'native-untagged': VlanMode.NATIVE_UNTAGGED,
  'dot1q-tunnel': VlanMode.TUNNEL,
};
const PRIORITIES: Readonly<Record<VlanModel['priorityTags'], number>> = {
  never: PriorityTags.NO,
  'if-nonzero': PriorityTags.IF_NONZERO,
  always: PriorityTags.ALWAYS,
};

/** Record 0 belongs to no port: its first word is the highest number in use, and this one how many VNIs there are. */
const VNIS_COUNT = PortWord.VNI;

/** Writes the tables of this generation into the copy that its low bit names. Throws RequestError when they don't fit. */
export function compileTables(
  view: View,
  generation: number,
  bridges: readonly TableBridge[],
  ports: readonly TablePort[],
): void {
  const at = view.layout.words[Header.TABLES_AT]! + (generation & 1) * view.layout.words[Header.TABLES_STRIDE]!;
  const i32 = new Int32Array(view.buffer, at, TABLE_BYTES / 4);
  clear(i32);
  const pool = new FloodPool(i32.subarray(TABLE_FLOOD_POOL_AT >> 2, (TABLE_FLOOD_POOL_AT >> 2) + FLOOD_POOL_WORDS));
  // Bridges in which a tunnel answers in other machines' place.
  const suppressing = new Set(ports.flatMap(({ bridge, tunnel }) => (tunnel?.suppress === true ? [bridge] : [])));
  for (const bridge of bridges) writeBridge(i32, bridge, suppressing.has(bridge.number));
  const highest = ports.reduce((most, port) => Math.max(most, port.number), 0);
  if (highest >= PORTS_MAX || ports.some(({ number }) => number < 1))
    throw new RequestError('too-many-ports', `at most ${PORTS_MAX - 1} ports`);
  // Before the others, so that what fails half-way is cleared.
  i32[TABLE_PORTS_AT >> 2] = highest;
  i32[(TABLE_PORTS_AT >> 2) + VNIS_COUNT] = countVnis(ports);
  const carried = new Map<number, VlanBitmap>();
  for (const port of ports) {
    const vlans = carriedVlans(port.vlan);
    carried.set(port.number, vlans);
    i32.set(
      new Int32Array(vlans.buffer, vlans.byteOffset, MEMBERSHIP_WORDS),
      (TABLE_MEMBERSHIP_AT >> 2) + port.number * MEMBERSHIP_WORDS,
    );
    writePort(i32, port, port.vlan.cvlans === null ? 0 : pool.add(bitmapOf(port.vlan.cvlans)));
    if (port.tunnel !== null) writeTunnel(i32, port.number, port.tunnel, pool);
  }
  writeVnis(i32.subarray(TABLE_VNIS_AT >> 2), ports);
  for (const bridge of bridges) {
    const members = ports.filter((port) => port.bridge === bridge.number);
    const index = (TABLE_FLOOD_INDEX_AT >> 2) + bridge.number * VLANS_COUNT;
    pool.writeSets(i32.subarray(index, index + VLANS_COUNT), members, carried);
  }
}

/** Empties what the copy's last tables used, and touches no other page: all 12 MB of a fresh copy would cost 10 ms and stay in memory. */
function clear(i32: Int32Array): void {
  // Hashed VNIs lie everywhere: a few already touch most pages.
  if (i32[(TABLE_PORTS_AT >> 2) + VNIS_COUNT] !== 0) i32.fill(0, TABLE_VNIS_AT >> 2);
  const records = (i32[TABLE_PORTS_AT >> 2]! + 1) * PORT_WORDS;
  const memberships = (i32[TABLE_PORTS_AT >> 2]! + 1) * MEMBERSHIP_WORDS;
  i32.fill(0, TABLE_PORTS_AT >> 2, (TABLE_PORTS_AT >> 2) + records);
  i32.fill(0, TABLE_MEMBERSHIP_AT >> 2, (TABLE_MEMBERSHIP_AT >> 2) + memberships);
  for (let bridge = 1; bridge < BRIDGES_MAX; bridge++) {
    if (i32[(TABLE_BRIDGES_AT >> 2) + bridge * BRIDGE_WORDS + BridgeWord.PRESENT] === 0) continue;
    const index = (TABLE_FLOOD_INDEX_AT >> 2) + bridge * VLANS_COUNT;
    i32.fill(0, index, index + VLANS_COUNT);
  }
  i32.fill(0, TABLE_BRIDGES_AT >> 2, TABLE_FLOOD_INDEX_AT >> 2);
}

function writeBridge(i32: Int32Array, bridge: TableBridge, suppress: boolean): void {
  if (bridge.number < 1 || bridge.number >= BRIDGES_MAX)
    throw new RequestError('too-many-bridges', `at most ${BRIDGES_MAX - 1} bridges`);
  const at = (TABLE_BRIDGES_AT >> 2) + bridge.number * BRIDGE_WORDS;
  i32[at + BridgeWord.PRESENT] = 1;
  i32[at + BridgeWord.FDB_LIMIT] = bridge.fdbLimit;
  i32[at + BridgeWord.AGEING_S] = bridge.ageing;
  i32[at + BridgeWord.SUPPRESS] = suppress ? 1 : 0;
}

function writePort(i32: Int32Array, port: TablePort, customers: number): void {
  const at = (TABLE_PORTS_AT >> 2) + port.number * PORT_WORDS;
  i32[at + PortWord.FLAGS] = flagsOf(port);
  i32[at + PortWord.BRIDGE] = port.bridge;
  i32[at + PortWord.MODE] = MODES[port.vlan.mode];
  i32[at + PortWord.VLAN] = port.vlan.tag ?? 0;
  i32[at + PortWord.MTU] = port.mtu;
  i32[at + PortWord.KIND] = port.kind;
  i32[at + PortWord.PEER] = port.peer;
  i32[at + PortWord.TPID] = port.vlan.mode === 'dot1q-tunnel' ? port.vlan.etherType : 0x8100;
  i32[at + PortWord.PRIORITY_TAGS] = PRIORITIES[port.vlan.priorityTags];
  i32[at + PortWord.RESERVED] = port.reserved;
  i32[at + PortWord.FDB_LIMIT] = port.fdbLimit;
  i32[at + PortWord.TAKES] = port.takes;
  i32[at + PortWord.CUSTOMER_VLANS] = customers;
  i32[at + PortWord.BOND] = port.bond;
}

function writeTunnel(i32: Int32Array, number: number, tunnel: TableTunnel, pool: FloodPool): void {
  const { remotes, vlans } = tunnel;
  const at = (TABLE_PORTS_AT >> 2) + number * PORT_WORDS;
  i32[at + PortWord.VNI] = vniWord(tunnel);
  i32[at + PortWord.HEADER] = headerOf(tunnel);
  i32[at + PortWord.REMOTES] = remotes.length === 0 ? 0 : pool.add([remotes.length, ...remotes]);
  i32[at + PortWord.VNI_MAP] = vlans === null ? 0 : pool.add(vniMap(vlans));
  i32[at + PortWord.OUTER] = outerOf(tunnel);
}

function flagsOf(port: TablePort): number {
  let flags: number = PortFlag.PRESENT | tunnelFlags(port.tunnel);
  if (port.up) flags |= PortFlag.UP;
  if (port.learning) flags |= PortFlag.LEARN;
  if (port.sticky) flags |= PortFlag.STICKY;
  if (port.protected) flags |= PortFlag.PROTECTED;
  if (port.flood.unknown) flags |= PortFlag.FLOOD_UNKNOWN;
  if (port.flood.multicast) flags |= PortFlag.FLOOD_MULTICAST;
  if (port.flood.broadcast) flags |= PortFlag.FLOOD_BROADCAST;
  if (port.peer !== 0) flags |= PortFlag.PATCH;
  if (port.vlan.cvlans !== null) flags |= PortFlag.CUSTOMERS;
  if (port.bond !== 0) flags |= PortFlag.BOND;
  return flags;
}

// HOT: what an endpoint's sockets received enters the bridge of the tunnel to which its VNI belongs, in runs of one tunnel and one remote, so
// that 10,000 networks cost little more than one. Native
// tells of each frame who sent it and what header it had (`Arrival`); here it is judged: the header (RFC 7348, 8926, 2784 and 2890, whose reserved
// bits are not looked at), ECN (RFC 6040), who learns what. What no tunnel takes is counted at the endpoint.
import { count, drop, remember } from '../counters.ts';
import { Drop } from '../drop.ts';
import { REMOTE_PROBES_MAX, REMOTE_SLOTS_COUNT, VNI_PROBES_MAX, VNI_SLOTS_COUNT } from '../limits.ts';
import type { Lane } from '../memory/lane.ts';
import { FACT_WORDS_SHIFT, Fact, Flag, PORT_WORDS, PortCell, VNI_WORDS } from '../memory/layout.ts';
import {
  ARRIVAL_BAD,
  ARRIVAL_CRITICAL,
  ARRIVAL_TOS_MASK,
  Arrival,
  RemoteWord,
  RUN_PLACES_COUNT,
  RUN_WORDS,
} from '../memory/tunnel-words.ts';
import { PortFlag, PortWord } from '../tables/port-layout.ts';
import {
  ENDPOINT_KIND_SHIFT,
  EndpointKind,
  NO_KEY,
  remoteAt,
  remoteSlot,
  VniWord,
  vniSlot,
} from '../tables/tunnel-layout.ts';
import { noteBinding } from './bindings.ts';
import { clampArrived } from './clamp.ts';
import { decapsulateEcn } from './ecn.ts';
import { forward } from './forward.ts';

const AT_MASK = 0x1fffffff;
/** Words of a run: one tunnel and one remote, how many frames, and where the next of them goes. The lane has room for a turn's. */
const RUN_PORT = 0;
const RUN_SOURCE = 1;
const RUN_COUNT = 2;
const RUN_NEXT = 3;
/** How tunnels spread over the places by which runs are found. */
const RUN_SPREAD = 31;
const TAG_BYTES = 4;
const ETHERNET_BYTES = 14;
const TPID_8021Q_LE = 0x0081;
const TPID_8021AD_LE = 0xa888;
const ECN_MASK = 3;
/** Bits of header words as little-endian reads give them. */
const VXLAN_I_LE = 0x08;
const GENEVE_VERSION_LE = 0xc0;
const GENEVE_CONTROL_LE = 0x8000;
const GRE_KEY_LE = 0x20;
const TYPE_MASK_LE = 0xffff_0000 | 0;
const BRIDGED_LE = 0x5865_0000;

/** A member's word (bond-layout.ts) names an endpoint: forwards what it received, `n` slots at word `list`. */
export function forwardArrivals(lane: Lane, list: number, n: number, endpoint: number, word: number): void {
  const i32 = lane.i32;
  const runs = lane.arrivalRuns;
  const kind = word >>> ENDPOINT_KIND_SHIFT;
  lane.arrivalStamp = (lane.arrivalStamp + 1) | 0;
  let kept = 0;
  let count = 0;
  let run = 0;
  let port = 0;
  let source = 0;
  for (let k = 0; k < n; k++) {
    const slot = i32[list + k]!;
    const to = arrive(lane, (lane.factsAt + (slot << FACT_WORDS_SHIFT)) & AT_MASK, endpoint, kind, port, source);
    if (to === 0) continue;
    if (to !== port || lane.arrivalSource !== source) {
      port = to;
      source = lane.arrivalSource;
      run = runOf(lane, port, source, count);
      if (run === count) count += RUN_WORDS;
    }
    runs[run + RUN_COUNT] = runs[run + RUN_COUNT]! + 1;
    lane.arrivalRunOf[kept] = run;
    i32[list + kept] = slot;
    kept++;
  }
  if (count > RUN_WORDS) gather(lane, list, kept, count);
  let first = list;
  for (let r = 0; r < count; r += RUN_WORDS) {
    const frames = runs[r + RUN_COUNT]!;
    forward(lane, first, frames, runs[r + RUN_PORT]!, runs[r + RUN_SOURCE]!);
    remember(lane, runs[r + RUN_PORT]!, frames);
    first += frames;
  }
}

/**
 * Where the run of this tunnel and remote stands among the `count` words of runs; `count` itself when it is new, and then it begins there.
 * A pair that lost its place in the index begins anew: its earlier frames still come first.
 */
function runOf(lane: Lane, port: number, source: number, count: number): number {
  const runs = lane.arrivalRuns;
  const place = ((port * RUN_SPREAD + source) & (RUN_PLACES_COUNT - 1)) << 1;
  const known = lane.arrivalPlaces[place + 1]!;
  if (lane.arrivalPlaces[place] === lane.arrivalStamp && runs[known] === port && runs[known + RUN_SOURCE] === source)
    return known;
  lane.arrivalPlaces[place] = lane.arrivalStamp;
  lane.arrivalPlaces[place + 1] = count;
  runs[count + RUN_PORT] = port;
  runs[count + RUN_SOURCE] = source;
  runs[count + RUN_COUNT] = 0;
  return count;
}

/** Puts the frames of each run side by side, in the order in which they came. */
function gather(lane: Lane, list: number, n: number, count: number): void {
  const i32 = lane.i32;
  const runs = lane.arrivalRuns;
  const slots = lane.arrivalSlots;
  let at = list;
  for (let r = 0; r < count; r += RUN_WORDS) {
    runs[r + RUN_NEXT] = at;
    at += runs[r + RUN_COUNT]!;
  }
  for (let k = 0; k < n; k++) slots[k] = i32[list + k]!;
  for (let k = 0; k < n; k++) {
    const next = lane.arrivalRunOf[k]! + RUN_NEXT;
    i32[runs[next]!] = slots[k]!;
    runs[next] = runs[next]! + 1;
  }
}

/**
 * Judges one frame; answers the tunnel that takes it, 0 when none does, and notes its remote in the lane. `port` and `source` are those of the
 * frame before, which most often are its own.
 */
function arrive(lane: Lane, facts: number, endpoint: number, kind: number, port: number, source: number): number {
  const i32 = lane.i32;
  const head = (i32[facts + Fact.HEAD_AT]! >>> 2) & AT_MASK;
  if ((i32[facts + Fact.FLAGS]! & Flag.SPOILT) !== 0) return refuse(lane, facts, endpoint, i32[facts + Fact.TAG]!);
  const outer = i32[head + Arrival.OUTER]!;
  const reason = checkHeader(kind, outer, i32[head + Arrival.HEADER]!, i32[head + Arrival.KEY]!);
  if (reason !== 0) return refuse(lane, facts, endpoint, reason);
  const to = findVni(lane, endpoint, vniOf(kind, i32[head + Arrival.HEADER]!, i32[head + Arrival.KEY]!));
  if (to === 0) return refuse(lane, facts, endpoint, Drop.UNKNOWN_VNI);
  const flags = i32[lane.portsAt + to * PORT_WORDS + PortWord.FLAGS]!;
  lane.arrivalSource = (flags & PortFlag.LEARN) === 0 ? 0 : sourceOf(lane, head, to, to === port ? source : 0);
  if (lane.arrivalVlan >= 0 && !tagWith(lane, facts, head, lane.arrivalVlan))
    return refuse(lane, facts, endpoint, Drop.TAGGED_ON_ACCESS);
  if ((outer & ECN_MASK) !== 0 && !decapsulateEcn(lane, facts, outer & ARRIVAL_TOS_MASK))
    return refuse(lane, facts, endpoint, Drop.BAD_ECN);
  if ((flags & PortFlag.SUPPRESS) !== 0) noteBinding(lane, facts, to);
  if ((flags & PortFlag.CLAMP_MSS) !== 0) clampTo(lane, facts, to);
  return to;
}

/** Counts at the endpoint what goes no further. */
function refuse(lane: Lane, facts: number, endpoint: number, reason: number): number {
  count(lane, endpoint, PortCell.RX_FRAMES, 1);
  count(lane, endpoint, PortCell.RX_BYTES, lane.i32[facts + Fact.LENGTH]!);
  count(lane, endpoint, PortCell.RX_SEGMENTS, 1);
  drop(lane, endpoint, reason);
  return 0;
}

/** 0, or why a tunnel header isn't one. A GRE key of all ones is nobody's: its number says that there is none. */
function checkHeader(kind: number, outer: number, header: number, key: number): number {
  if ((outer & ARRIVAL_BAD) !== 0) return Drop.BAD_TUNNEL_HEADER;
  if (kind === EndpointKind.VXLAN) return (header & VXLAN_I_LE) === 0 ? Drop.BAD_TUNNEL_HEADER : 0;
  if ((header & TYPE_MASK_LE) !== BRIDGED_LE) return Drop.BAD_TUNNEL_HEADER;
  if (kind === EndpointKind.GRE) return key === NO_KEY && (header & GRE_KEY_LE) !== 0 ? Drop.UNKNOWN_VNI : 0;
  if ((header & (GENEVE_VERSION_LE | GENEVE_CONTROL_LE)) !== 0) return Drop.BAD_TUNNEL_HEADER;
  return (outer & ARRIVAL_CRITICAL) !== 0 ? Drop.TUNNEL_OPTION : 0;
}

/** The VNI or key in a header. */
function vniOf(kind: number, header: number, key: number): number {
  if (kind !== EndpointKind.GRE) return ((key & 0xff) << 16) | (key & 0xff00) | ((key >>> 16) & 0xff);
  if ((header & GRE_KEY_LE) === 0) return NO_KEY;
  return (key >>> 24) | ((key >>> 8) & 0xff00) | ((key & 0xff00) << 8) | (key << 24);
}

/** The port of this VNI, 0 for none; its VLAN goes to the lane. */
function findVni(lane: Lane, endpoint: number, vni: number): number {
  const i32 = lane.i32;
  let slot = vniSlot(endpoint, vni);
  for (let probe = 0; probe < VNI_PROBES_MAX; probe++) {
    const at = (lane.vnisAt + slot * VNI_WORDS) & AT_MASK;
    const port = i32[at + VniWord.PORT]!;
    if (port === 0) return 0;
    if (i32[at + VniWord.VNI] === vni && i32[at + VniWord.ENDPOINT] === endpoint) {
      lane.arrivalVlan = i32[at + VniWord.VLAN]!;
      return port;
    }
    slot = (slot + 1) & (VNI_SLOTS_COUNT - 1);
  }
  return 0;
}

/** The destination that sent to `port`: `last`, when it is that one again; 0 when nobody knows it, and then control is told. */
function sourceOf(lane: Lane, head: number, port: number, last: number): number {
  const i32 = lane.i32;
  const at = (head + Arrival.ADDRESS) & AT_MASK;
  if (last !== 0 && isRemote(lane, last, port, at)) return last;
  let slot = remoteSlot(port, i32[at]!, i32[at + 1]!, i32[at + 2]!, i32[at + 3]!);
  for (let probe = 0; probe < REMOTE_PROBES_MAX; probe++) {
    const destination = i32[lane.remoteIndexAt + slot]!;
    if (destination === 0) break;
    if (destination > 0 && isRemote(lane, destination, port, at)) return destination;
    slot = (slot + 1) & (REMOTE_SLOTS_COUNT - 1);
  }
  lane.strangers = (lane.strangers + 1) | 0;
  lane.strangerPort = port;
  for (let k = 0; k < 4; k++) lane.stranger[k] = i32[at + k]!;
  return 0;
}

function isRemote(lane: Lane, destination: number, port: number, at: number): boolean {
  const i32 = lane.i32;
  const record = remoteAt(lane.remotesAt, destination) & AT_MASK;
  if (i32[record + RemoteWord.PORT] !== port || i32[record + RemoteWord.FAMILY] === 0) return false;
  const address = record + RemoteWord.ADDRESS;
  return (
    i32[address] === i32[at] &&
    i32[address + 1] === i32[at + 1] &&
    i32[address + 2] === i32[at + 2] &&
    i32[address + 3] === i32[at + 3]
  );
}

/** Where a VNI stands for a VLAN: gives the frame that VLAN's tag. False when it has a tag already (RFC 7348, section 6.1). */
function tagWith(lane: Lane, facts: number, head: number, vlan: number): boolean {
  const i32 = lane.i32;
  const type = i32[head + 3]! & 0xffff;
  if (type === TPID_8021Q_LE || type === TPID_8021AD_LE) return false;
  // With the vnet header, whose words count from the frame's start.
  if ((i32[facts + Fact.FLAGS]! & Flag.VNET) !== 0) {
    i32[head - 4] = i32[head - 3]! + (TAG_BYTES << 16);
    i32[head - 3] = i32[head - 2]! + (TAG_BYTES << 16);
    i32[head - 2] = i32[head - 1]!;
  }
  i32[head - 1] = i32[head]!;
  i32[head] = i32[head + 1]!;
  i32[head + 1] = i32[head + 2]!;
  i32[head + 2] = TPID_8021Q_LE | ((vlan & 0xf00) << 8) | (vlan << 24);
  i32[facts + Fact.HEAD_AT] = (head - 1) << 2;
  i32[facts + Fact.HEAD_BYTES] = i32[facts + Fact.HEAD_BYTES]! + TAG_BYTES;
  i32[facts + Fact.LENGTH] = i32[facts + Fact.LENGTH]! + TAG_BYTES;
  return true;
}

/** Connections from behind the tunnel are opened with segments that fit it too. */
function clampTo(lane: Lane, facts: number, port: number): void {
  const source = lane.arrivalSource;
  if (source !== 0) clampArrived(lane, facts, lane.i32[remoteAt(lane.remotesAt, source) + RemoteWord.FRAME_BYTES_MAX]!);
  else clampArrived(lane, facts, lane.i32[lane.portsAt + port * PORT_WORDS + PortWord.MTU]! + ETHERNET_BYTES);
}

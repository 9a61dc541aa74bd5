// HOT: what a frame must look like at an egress. Shapes differ in the tag alone so far; each is made in a head that is not listed yet.
import { Drop } from '../drop.ts';
import type { Lane } from '../memory/lane.ts';
import { FACT_WORDS_SHIFT, Fact, Flag, PORT_WORDS } from '../memory/layout.ts';
import { Form } from '../tables/flood-layout.ts';
import { PortFlag, PortWord, PriorityTags, VlanMode } from '../tables/port-layout.ts';

const VID_MASK = 0xfff;
const TAG_BYTES = 4;
/** Tag pushed and popped words: the 12 address bytes are three words. */
const ADDRESS_WORDS = 3;

/** The form that `egress` wants for a frame of VLAN `vid`: what compile writes into flood sets, for one port. */
export function formFor(lane: Lane, egress: number, vid: number): number {
  const record = lane.portsAt + egress * PORT_WORDS;
  const mode = lane.i32[record + PortWord.MODE]!;
  if ((lane.i32[record + PortWord.FLAGS]! & PortFlag.VNI_MAP) !== 0) return Form.UNTAGGED;
  if (vid !== 0) {
    if (mode === VlanMode.TRUNK || mode === VlanMode.NATIVE_TAGGED) return Form.TAGGED;
    if (mode === VlanMode.NATIVE_UNTAGGED && vid !== lane.i32[record + PortWord.VLAN]!) return Form.TAGGED;
  }
  const priorities = lane.i32[record + PortWord.PRIORITY_TAGS]!;
  if (priorities === PriorityTags.NO) return Form.UNTAGGED;
  return priorities === PriorityTags.ALWAYS ? Form.PRIORITY : Form.PRIORITY_IF_NONZERO;
}

/** The shape that a form means for a frame with this tag. */
export function shapeOf(form: number, tag: number): number {
  if (form !== Form.PRIORITY_IF_NONZERO) return form;
  return (tag & 0xe000) !== 0 ? Form.PRIORITY : Form.UNTAGGED;
}

/** Moves start-relative facts by the bytes that were put before the network header. */
function shift(lane: Lane, facts: number, bytes: number): void {
  const i32 = lane.i32;
  i32[facts + Fact.HEAD_AT] = i32[facts + Fact.HEAD_AT]! - bytes;
  i32[facts + Fact.HEAD_BYTES] = i32[facts + Fact.HEAD_BYTES]! + bytes;
  i32[facts + Fact.LENGTH] = i32[facts + Fact.LENGTH]! + bytes;
  i32[facts + Fact.L3] = i32[facts + Fact.L3]! + bytes;
  i32[facts + Fact.WIRE_BYTES] = i32[facts + Fact.WIRE_BYTES]! + bytes;
  if ((i32[facts + Fact.FLAGS]! & Flag.NEEDS_CHECKSUM) !== 0)
    i32[facts + Fact.CHECKSUM] = (i32[facts + Fact.CHECKSUM]! + bytes) | 0;
}

/** Writes TPID and TCI where the tag goes: a big-endian pair as one little-endian word. */
function writeTag(lane: Lane, at: number, tpid: number, tci: number): void {
  lane.i32[at + ADDRESS_WORDS] = (tpid >>> 8) | ((tpid & 0xff) << 8) | ((tci & 0xff00) << 8) | ((tci & 0xff) << 24);
}

/**
 * Gives a slot that is not listed the shape UNTAGGED, TAGGED or PRIORITY. Needs 4 bytes of headroom. 0, or the reason to drop.
 */
export function shape(lane: Lane, slot: number, form: number): number {
  const i32 = lane.i32;
  const facts = lane.factsAt + (slot << FACT_WORDS_SHIFT);
  const flags = i32[facts + Fact.FLAGS]!;
  const tag = i32[facts + Fact.TAG]!;
  let at = i32[facts + Fact.HEAD_AT]! >> 2;
  if (form === Form.UNTAGGED) {
    if ((flags & Flag.TAGGED) === 0) return 0;
    i32[at + 3] = i32[at + 2]!;
    i32[at + 2] = i32[at + 1]!;
    i32[at + 1] = i32[at]!;
    i32[facts + Fact.FLAGS] = flags & ~Flag.TAGGED;
    shift(lane, facts, -TAG_BYTES);
    return 0;
  }
  const tci = form === Form.PRIORITY ? tag & 0xf000 : tag & 0xffff;
  if ((flags & Flag.TAGGED) === 0) {
    if (i32[facts + Fact.LENGTH]! < 14) return Drop.RUNT;
    at -= 1;
    i32[at] = i32[at + 1]!;
    i32[at + 1] = i32[at + 2]!;
    i32[at + 2] = i32[at + 3]!;
    i32[facts + Fact.FLAGS] = flags | Flag.TAGGED;
    shift(lane, facts, TAG_BYTES);
    writeTag(lane, at, tag >>> 16, tci);
  } else if ((tag & VID_MASK) !== (tci & VID_MASK)) {
    writeTag(lane, at, tag >>> 16, tci);
  }
  return 0;
}

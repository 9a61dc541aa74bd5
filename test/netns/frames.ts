/** Frames as hex text, made by hand: what a host with VLAN devices would send. Pure. */

export interface Tag {
  readonly vlan: number;
  /** 0x8100 unless told otherwise. */
  readonly tpid?: number;
  readonly priority?: number;
}

/** An address of the tests: 02:77:74:00:00:NN as 12 hex digits. */
export function mac(number: number): string {
  return `027774${number.toString(16).padStart(6, '0')}`;
}

/** 12 hex digits with colons. */
export function colons(digits: string): string {
  return digits.match(/../g)!.join(':');
}

export const BROADCAST = 'ffffffffffff';
/** Every test frame holds this, so that a listener keeps it apart from what kernels say. */
export const MARKER = '77656674';

function word(value: number): string {
  return value.toString(16).padStart(4, '0');
}

export function tagText(tag: Tag): string {
  return word(tag.tpid ?? 0x8100) + word(((tag.priority ?? 0) << 13) | tag.vlan);
}

/** `payload` is text behind the marker; the frame is filled up to `size` bytes without tags. */
export function frame(destination: string, source: string, tags: readonly Tag[], payload = '', size = 64): string {
  const body = MARKER + Buffer.from(payload).toString('hex');
  const head = `${destination + source + tags.map(tagText).join('')}88b6`;
  return head + body.padEnd((size - 14) * 2, '0');
}

/*
 * The errors of the cold side: a parse of bytes that aren't the header, an emit of a value that doesn't fit
 * its field or its buffer. Called by the values and builders; never by a hot file, which return a Check.
 */
import { Check } from './check.ts';

const SENTENCES: Readonly<Record<Check, string>> = {
  [Check.OK]: 'is well-formed',
  [Check.SHORT]: 'is cut short',
  [Check.BAD_LENGTH]: 'has a length that contradicts its frame or its own header',
  [Check.BAD_VERSION]: 'has the wrong version',
  [Check.BAD_TYPE]: 'has a type that is not known here',
  [Check.BAD_OFFLOAD]: 'asks for an offload that its frame does not allow',
};

/** Throws RangeError unless check is OK. */
export function refuse(what: string, check: Check, at: number, end: number): void {
  if (check !== Check.OK) throw new RangeError(`${what} ${SENTENCES[check]} (bytes ${at} to ${end})`);
}

/** The value, if it is an integer in 0 … max; RangeError otherwise. */
export function bounded(what: string, value: number, max: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= max) return value;
  throw new RangeError(`${what}: ${value} is not an integer from 0 to ${max}`);
}

/** The offset behind `count` bytes at `at`; RangeError if the buffer ends before it. */
export function roomFor(what: string, bytes: Uint8Array, at: number, count: number): number {
  if (at >= 0 && at + count <= bytes.length) return at + count;
  throw new RangeError(`${what}: ${count} bytes at ${at} don't fit into a buffer of ${bytes.length}`);
}

/* Random header values within their fields' widths, addresses in the text form that parse gives back. */
import fc from 'fast-check';
import { formatIpv4Address, formatIpv6Address, formatMac } from '../../../dataplane/wire/text.ts';

export const u8 = fc.nat(0xff);
export const u16 = fc.nat(0xffff);
export const u32 = fc.nat(0xffffffff);

const bytesOf = (count: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: count, maxLength: count });

export const mac = bytesOf(6).map((bytes) => formatMac(bytes, 0));
export const ipv4Address = bytesOf(4).map((bytes) => formatIpv4Address(bytes, 0));
/** Zeros are frequent, so that runs of zero groups occur. */
export const ipv6Bytes = fc
  .array(fc.oneof(fc.constant(0), u16), { minLength: 8, maxLength: 8 })
  .map((groups) => Uint8Array.from(groups.flatMap((group) => [group >>> 8, group & 0xff])));
export const ipv6Address = ipv6Bytes.map((bytes) => formatIpv6Address(bytes, 0));
/** 0 to 40 bytes in words of four. */
export const headerOptions = fc.nat(10).chain((words) => bytesOf(words * 4));

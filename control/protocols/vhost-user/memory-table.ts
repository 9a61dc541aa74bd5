/**
 * The regions of a guest's memory as a front end tells them: which tables can't be true. Called by session.ts; pure. That a region's
 * file is as long as it should be is for native code to see when it maps it.
 */
import { type Region, TABLE_REGIONS_MAX } from './message.ts';

/** Regions that ADD_MEM_REG may pile up. QEMU takes more slots than the 8 of a table only with CONFIGURE_MEM_SLOTS. */
export const MEMORY_SLOTS_MAX = 32;

const ADDRESSES = 1n << 64n;
/** off_t is signed. */
const FILE_BYTES_MAX = (1n << 63n) - 1n;
const LOG_BYTES_PER_ADDRESS = 8n * 4096n;

/** Why `regions` can't be a guest's memory, or null. */
export function tableFault(regions: readonly Region[]): string | null {
  if (regions.length > TABLE_REGIONS_MAX) return `${regions.length} regions; at most ${TABLE_REGIONS_MAX}`;
  for (const [index, region] of regions.entries()) {
    const fault = regionFault(region, regions.slice(0, index));
    if (fault !== null) return fault;
  }
  return null;
}

/** Why `region` can't be added to `others`, which are sound, or null. */
export function regionFault(region: Region, others: readonly Region[]): string | null {
  const { guestAddress, userAddress, bytes, offset } = region;
  const where = `the region at guest address 0x${guestAddress.toString(16)}`;
  if (others.length >= MEMORY_SLOTS_MAX) return `${where} is one more than ${MEMORY_SLOTS_MAX}`;
  if (bytes === 0n) return `${where} is empty`;
  if (guestAddress + bytes > ADDRESSES || userAddress + bytes > ADDRESSES) return `${where} ends behind all addresses`;
  if (offset + bytes > FILE_BYTES_MAX) return `${where} ends behind the end of any file`;
  const isOver = (other: Region) =>
    overlaps(guestAddress, other.guestAddress, bytes, other.bytes) ||
    overlaps(userAddress, other.userAddress, bytes, other.bytes);
  return others.some(isOver) ? `${where} overlaps another` : null;
}

function overlaps(a: bigint, b: bigint, aBytes: bigint, bBytes: bigint): boolean {
  return a < b + bBytes && b < a + aBytes;
}

/** REM_MEM_REG names a region by all but its offset. */
export function sameRegion(a: Region, b: Region): boolean {
  return a.guestAddress === b.guestAddress && a.userAddress === b.userAddress && a.bytes === b.bytes;
}

/** Why a migration log of so many bytes can't cover `regions`, or null. One bit stands for 4 KB. */
export function logFault(bytes: bigint, offset: bigint, regions: readonly Region[]): string | null {
  if (bytes === 0n || offset + bytes > FILE_BYTES_MAX) return `a log of ${bytes} bytes at offset ${offset}`;
  const end = regions.reduce((max, region) => {
    const last = region.guestAddress + region.bytes;
    return last > max ? last : max;
  }, 0n);
  const needed = (end + LOG_BYTES_PER_ADDRESS - 1n) / LOG_BYTES_PER_ADDRESS;
  return bytes >= needed ? null : `a log of ${bytes} bytes, where the guest's memory needs ${needed}`;
}

/**
 * An archive as Linux takes it for its first root file system: cpio in the "newc" format (the kernel's
 * Documentation/driver-api/early-userspace/buffer-format.rst). Used by image.ts; pure. It reads no archive and knows neither hard links
 * nor devices.
 */

/** Permission and type bits of an entry, as `stat` has them. */
export const EntryMode = { FOLDER: 0o040755, FILE: 0o100644, PROGRAM: 0o100755, LINK: 0o120777 } as const;

export interface Entry {
  /** Path without a leading slash; folders stand before what is in them. */
  readonly path: string;
  readonly mode: number;
  /** A file's content, or where a link points to. */
  readonly data?: Uint8Array;
}

const MAGIC = '070701';
const TRAILER = 'TRAILER!!!';
const ALIGN_BYTES = 4;

function padding(bytes: number): Buffer {
  return Buffer.alloc((ALIGN_BYTES - (bytes % ALIGN_BYTES)) % ALIGN_BYTES);
}

function record(entry: Entry, inode: number): Buffer {
  const name = Buffer.from(`${entry.path}\0`);
  const data = entry.data ?? Buffer.alloc(0);
  // Inode, mode, owner, group, links, time, size, four numbers of devices, length of the name, check sum: all but the used ones are 0.
  const fields = [inode, entry.mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, name.length, 0];
  const head = Buffer.from(MAGIC + fields.map((field) => field.toString(16).padStart(8, '0')).join(''));
  return Buffer.concat([head, name, padding(head.length + name.length), data, padding(data.length)]);
}

/** The whole archive, its trailer included. */
export function archive(entries: readonly Entry[]): Buffer {
  return Buffer.concat([...entries, { path: TRAILER, mode: 0 }].map((entry, index) => record(entry, index + 1)));
}

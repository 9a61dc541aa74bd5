/** Where a guest's socket can't be: what is in its way is told with the port, the path and what to do, whatever the kind of port. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { isSocketThere } from '../../../control/devices/guest/listener.ts';

const folder = mkdtempSync(join(tmpdir(), 'weft-socket-file-'));
const file = join(folder, 'file');
writeFileSync(file, '');
afterAll(() => rmSync(folder, { recursive: true }));

describe('the place of a socket', () => {
  it('may be free, and its folder may be missing: binding says so', () => {
    expect(isSocketThere('br0/p', join(folder, 'free'))).toBe(false);
    expect(isSocketThere('br0/p', join(folder, 'none', 'free'))).toBe(false);
  });

  it.each([
    ['another file', file, 'socket-taken', `br0/p: ${file} is there, and is no socket`],
    ['a folder', folder, 'socket-taken', `br0/p: ${folder} is there, and is no socket`],
    ['a file for a folder', `${file}/s`, 'socket-failed', `br0/p: weft can't have a socket at ${file}/s: ENOTDIR`],
  ])('is refused with a remedy when it is %s', (_, path, code, message) => {
    expect(() => isSocketThere('br0/p', path)).toThrow(
      expect.objectContaining({
        code,
        message: expect.stringContaining(message),
        hint: expect.stringContaining('another path'),
      }),
    );
  });
});

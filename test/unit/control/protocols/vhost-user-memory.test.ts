/** A guest's memory as its front end tells it: hot-plugged, moved, impossible; and logged for a migration. */
import { describe, expect, it } from 'vitest';
import { region, reply, table, words } from './front-end.ts';
import { LOG_ALL, MIB, PROTOCOL_FEATURES, places, running, stand, USER, VERSION_1 } from './session-rig.ts';

describe('memory', () => {
  it('is exchanged while rings run, which are looked up anew and go on', () => {
    const one = running();
    one.guest.calls.length = 0;
    const bigger = table([0, 64n * MIB, USER, 0], [1n << 32n, 64n * MIB, USER + 64n * MIB, 64n * MIB]);
    expect(one.send('SET_MEM_TABLE', bigger, 2).refusal).toBeNull();
    expect(one.guest.calls).toEqual([
      'clear',
      'add 0x0',
      'add 0x100000000',
      'ring 0',
      'run 0 true true',
      'ring 1',
      'run 1 true true',
    ]);
  });

  it('that goes away lets its rings rest until it is back, as QEMU moves regions', () => {
    const one = running();
    expect(one.send('REM_MEM_REG', region([0, 64n * MIB, USER, 99]), 1).refusal).toBeNull();
    expect(one.session).toMatchObject({ ready: false, running: false });
    expect(one.guest.rings[0]!.started).toBe(false);
    expect(one.send('ADD_MEM_REG', region([0, 32n * MIB, USER, 0]), 1, true).refusal).toBeNull();
    expect(one.session.ready).toBe(true);
    expect(one.guest.calls.filter((call) => call.startsWith('base'))).toHaveLength(2);
  });

  it('is told once for every queue pair by QEMU up to 9.0, and taken back as often', () => {
    const one = stand({ queues: 2 });
    one.send('SET_PROTOCOL_FEATURES', words(8 | (1 << 15)));
    const [first, second] = [region([0, 4096, USER, 0]), region([1n << 32n, 4096, USER + 4096n, 4096])];
    for (let pair = 0; pair < 2; pair++)
      for (const told of [first, second]) expect(one.send('ADD_MEM_REG', told, 1, true).refusal).toBeNull();
    expect(one.guest.calls.filter((call) => call.startsWith('add'))).toEqual(['add 0x0', 'add 0x100000000']);
    for (let pair = 0; pair < 2; pair++) expect(one.send('REM_MEM_REG', first, 0, true).refusal).toBeNull();
    expect(one.guest.regions).toHaveLength(1);
    // Another part of the file at the same place is another region.
    const other = region([1n << 32n, 4096, USER + 4096n, 0]);
    expect(one.send('ADD_MEM_REG', other, 1, true).refusal).toContain('overlaps another');
  });

  it('has 32 slots and no more', () => {
    const one = stand();
    one.send('SET_PROTOCOL_FEATURES', words(8 | (1 << 15)));
    for (let slot = 0; slot < 32; slot++) {
      const added = one.send('ADD_MEM_REG', region([slot * 4096, 4096, USER + BigInt(slot * 4096), 0]), 1, true);
      expect(added.refusal).toBeNull();
    }
    const last = one.send('ADD_MEM_REG', region([1n << 40n, 4096, 1n << 40n, 0]), 1, true);
    expect(last).toMatchObject({ close: false, refusal: expect.stringContaining('one more than 32') });
  });

  const TOP = (1n << 64n) - 4096n;
  it.each([
    ['empty', [[0, 0, USER, 0]], 'is empty'],
    ['behind the last guest address', [[TOP, 8192, USER, 0]], 'behind all addresses'],
    ['behind the last user address', [[0, 8192, TOP, 0]], 'behind all addresses'],
    ['behind the end of any file', [[0, 4096, USER, (1n << 63n) - 1n]], 'end of any file'],
    ['twice the same', [[0, 4096, USER, 0], [0, 4096, USER, 0]], 'overlaps'], // biome-ignore format: a table
    ['overlapping for the guest', [[0, 8192, USER, 0], [4096, 8192, 0, 0]], 'overlaps'], // biome-ignore format: a table
    ['overlapping for the front end', [[0, 8192, USER, 0], [1n << 20n, 8192, USER - 4096n, 0]], 'overlaps'], // biome-ignore format: a table
  ] as const)('%s is refused, and changes nothing', (_, regions, reason) => {
    const one = running();
    expect(one.send('SET_MEM_TABLE', table(...regions), regions.length, true).refusal).toContain(reason);
    expect(one.session.ready).toBe(true);
    expect(one.guest.regions).toHaveLength(1);
  });

  it('may end with the last address', () => {
    const one = stand();
    expect(one.send('SET_MEM_TABLE', table([TOP, 4096, TOP, 0]), 1).refusal).toBeNull();
  });

  it('that can’t be mapped is none, and rings rest', () => {
    let adds = 0;
    const one = running({ fails: (operation) => (operation.startsWith('add') && ++adds === 3 ? -22 : 0) });
    const two = table(
      [0, 64n * MIB, USER, 0],
      [1n << 32n, MIB, USER + 64n * MIB, 0],
      [1n << 33n, MIB, USER + 65n * MIB, 0],
    );
    const answer = one.send('SET_MEM_TABLE', two, 3, true);
    expect(answer).toMatchObject({ close: false, refusal: expect.stringContaining('errno 22') });
    expect(one.guest.regions).toEqual([]);
    expect(one.session).toMatchObject({ ready: false, running: false });
  });

  it('of a region that is not there can’t be removed, and slots need their feature', () => {
    const one = running();
    expect(one.send('REM_MEM_REG', region([0, 4096, USER, 0]), 0, true).refusal).toContain('no such region');
    const plain = stand();
    expect(plain.send('ADD_MEM_REG', region([0, 4096, USER, 0]), 1)).toMatchObject({
      close: true,
      refusal: 'ADD_MEM_REG: needs the protocol feature CONFIGURE_MEM_SLOTS',
    });
  });
});

describe('a migration', () => {
  it('switches logging on and off while rings run', () => {
    const one = running();
    const log = one.send('SET_LOG_BASE', words(4096, 0), 1);
    expect(reply(log.reply!)).toMatchObject({ request: 6, payload: words(0) });
    expect(one.send('SET_FEATURES', words(PROTOCOL_FEATURES | VERSION_1 | LOG_ALL)).refusal).toBeNull();
    const acknowledged = one.send('SET_VRING_ADDR', places(0, 0x8000n), 0, true);
    expect(reply(acknowledged.reply!).payload).toEqual(words(0));
    expect(one.guest.rings[0]).toMatchObject({ started: true, place: { log: 0x8000n } });
    expect(one.guest.agreed).toBe(PROTOCOL_FEATURES | VERSION_1 | LOG_ALL);
    one.send('SET_FEATURES', words(PROTOCOL_FEATURES | VERSION_1));
    one.send('SET_VRING_ADDR', places(0));
    expect(one.guest.rings[0]).toMatchObject({ started: true, place: { log: null } });
    expect(one.session.ready).toBe(true);
  });

  it.each([
    [words(0, 0), 'a log of 0 bytes'],
    [words(2047, 0), 'needs 2048'],
    [words(4096, (1n << 63n) - 1n), 'at offset'],
  ])('refuses a log that can’t be %#', (payload, reason) => {
    expect(running().send('SET_LOG_BASE', payload, 1).refusal).toContain(reason);
  });

  it('takes no log without its feature', () => {
    expect(stand().send('SET_LOG_BASE', words(4096, 0), 1).refusal).toContain('LOG_SHMFD');
  });

  it('ends with the guest’s address announced', () => {
    const one = running();
    one.send('SEND_RARP', words(0x0605040302n << 8n));
    one.send('SEND_RARP', words(0xffff_0605_0403_0202n));
    expect(one.guest.announced).toEqual(['00:02:03:04:05:06', '02:02:03:04:05:06']);
  });
});

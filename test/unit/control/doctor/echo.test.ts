/** Echo requests over native calls that a test plays: whose answer is whose, and that none waits for ever. */
import { describe, expect, it } from 'vitest';
import { type EchoNative, EchoSocket } from '../../../../control/doctor/echo.ts';
import type { EchoNotice, WatchCallback } from '../../../../native/binding.ts';

function played(sent: number[] = []) {
  const log: { id: number; sequence: number; bytes: number; remote: string }[] = [];
  let hear: WatchCallback = () => undefined;
  let notices: EchoNotice[] = [];
  const closed: string[] = [];
  const native: EchoNative = {
    openEcho: () => 7,
    sendEcho: (_fd, remote, id, sequence, bytes) => {
      log.push({ id, sequence, bytes, remote });
      return sent.shift() ?? 0;
    },
    readEchoes: () => notices.splice(0),
    watch: (_fd, _what, callback) => {
      hear = callback;
      let isOpen = true;
      return {
        close() {
          if (isOpen) closed.push('watch');
          isOpen = false;
        },
      };
    },
    closeDescriptor: (fd) => void closed.push(`fd ${fd}`),
  };
  const tell = (...some: Partial<EchoNotice>[]) => {
    notices = some.map((one) => ({ sequence: 0, error: 0, mtu: 0, address: 'r', ...one }));
    const isError = some.some(({ error = 0 }) => error !== 0);
    const callback = hear;
    // As libuv does: after an error this watch hears nothing more.
    if (isError) hear = () => undefined;
    callback(true, isError);
  };
  return { native, log, tell, closed };
}

describe('an echo', () => {
  it('gets its own answer, whatever the order', async () => {
    const { native, log, tell, closed } = played();
    const echo = new EchoSocket(native, '192.0.2.1');
    const [one, two] = [echo.ask('r', 100, 1000), echo.ask('r', 200, 1000)];
    expect(log.map(({ bytes }) => bytes)).toEqual([100, 200]);
    tell({ sequence: 999 }, { sequence: log[1]!.sequence, error: 90, mtu: 1400, address: 'router' });
    expect(await two).toEqual({ type: 'refused', code: 'EMSGSIZE', mtu: 1400, by: 'router' });
    tell({ sequence: log[0]!.sequence });
    expect(await one).toMatchObject({ type: 'answered', ms: expect.any(Number) });
    tell({ sequence: log[0]!.sequence });
    expect(closed, 'the error ended the watch, another took its place').toEqual(['watch']);
    echo.close();
    expect(closed).toEqual(['watch', 'watch', 'fd 7']);
  });

  it('is silent after its time, and refused at once by our own machine', async () => {
    const { native } = played([0, -90]);
    const echo = new EchoSocket(native, '192.0.2.1');
    expect(await echo.ask('r', 100, 5)).toEqual({ type: 'silent' });
    expect(await echo.ask('r', 9000, 1000)).toEqual({ type: 'refused', code: 'EMSGSIZE', mtu: 0, by: null });
    echo.close();
  });

  it('ends what waits when it is closed, and then its descriptor', async () => {
    const { native, closed } = played();
    const echo = new EchoSocket(native, '192.0.2.1');
    const asked = echo.ask('r', 100, 60_000);
    echo.close();
    expect(await asked).toEqual({ type: 'silent' });
    expect(closed).toEqual(['watch', 'fd 7']);
  });
});

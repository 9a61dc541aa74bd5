/** The longest packet of a path: found to the byte, with few requests, whatever is lost on the way. */
import { describe, expect, it } from 'vitest';
import { longestPacket } from '../../../../control/doctor/path.ts';
import { type FakePath, fakeEcho } from './fake-echo.ts';

async function find(path: FakePath, most = 1500) {
  const echo = fakeEcho({ r: path });
  const finding = await longestPacket(echo, 'r', most, new AbortController().signal);
  return { ...finding, asked: echo.asked.map(({ bytes }) => bytes), waits: echo.asked.map(({ waitMs }) => waitMs) };
}

describe('the longest packet of a path', () => {
  it('is the wanted one where that passes: two requests', async () => {
    expect(await find({})).toMatchObject({ passed: 1500, told: null, refused: null, asked: [68, 1500] });
    expect(await find({}, 60)).toMatchObject({ passed: 60, asked: [60, 60] });
  });

  it('is found to the byte', async () => {
    for (const takes of [68, 69, 1280, 1399, 1400, 1498, 1499])
      expect(await find({ takes }), `a path of ${takes}`).toMatchObject({ passed: takes, told: null });
    const { asked } = await find({ takes: 8999 }, 9001);
    expect(asked.length).toBeLessThan(3 * 15);
  });

  it('waits as long as a round trip wants, once it is known', async () => {
    const { waits } = await find({ takes: 1400 });
    expect(waits[0]).toBe(1000);
    expect(new Set(waits.slice(1))).toEqual(new Set([150]));
  });

  it('is not judged by a request that chance lost', async () => {
    expect(await find({ loses: 2 })).toMatchObject({ passed: 1500, asked: [68, 68, 68, 1500] });
  });

  it('is what a router tells, once that passes', async () => {
    const told = { mtu: 1400, by: '192.0.2.254' };
    expect(await find({ told })).toEqual({
      ...{ passed: 1400, told, refused: null, asked: [68, 1500, 1400], waits: [1000, 150, 150] },
    });
    expect(await find({ told, takes: 1380 })).toMatchObject({ passed: 1380, told });
    expect(await find({ told: { mtu: 40, by: 'liar' }, takes: 1380 })).toMatchObject({ passed: null });
  });

  it('is what our own device takes', async () => {
    expect(await find({ own: 1450 })).toMatchObject({ passed: 1450, told: null, refused: null });
  });

  it('is unknown where nobody answers, or where there is no way', async () => {
    expect(await find({ silent: true })).toMatchObject({ passed: null, refused: null, asked: [68, 68, 68] });
    const refused = { code: 'EHOSTUNREACH', by: '192.0.2.254' };
    expect(await find({ refused })).toMatchObject({ passed: null, refused, asked: [68] });
  });

  it('is no longer looked for when nobody wants to know', async () => {
    const stopped = new AbortController();
    const echo = fakeEcho({ r: { takes: 100 } });
    const found = longestPacket(echo, 'r', 1500, stopped.signal);
    stopped.abort();
    await found;
    expect(echo.asked.length).toBe(1);
  });
});

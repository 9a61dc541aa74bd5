import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { WAITING_BYTES_MAX } from '../../../control/api/streams.ts';
import { PcapngReader } from '../../../control/capture/reader.ts';
import type { SwitchEvent } from '../../../control/switch.ts';
import { apiRig, rawRequest } from './api-rig.ts';

const rig = apiRig();
const SOCKET_BYTES_MAX = 1 << 20;

describe('events', () => {
  const event = (worker: number): SwitchEvent => ({
    type: 'worker-restarted',
    time: 'now',
    worker,
    reason: 'x'.repeat(1000),
  });

  it('are lines of JSON, in order, to every listener', async () => {
    const streams = await Promise.all([rig.client.stream('/v1/events'), rig.client.stream('/v1/events')]);
    rig.sw.emit(event(1));
    rig.sw.emit(event(2));
    for (const stream of streams) {
      let text = '';
      stream.on('data', (piece) => (text += piece));
      await expect.poll(() => text.split('\n').length).toBe(3);
      expect(
        text
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line)),
      ).toEqual([event(1), event(2)]);
      stream.destroy();
    }
    await expect.poll(() => rig.sw.events.listenerCount('event')).toBe(0);
  });

  it('for a client that never reads at most 256 KiB wait; what it missed is counted and told', async () => {
    const stream = await rig.client.stream('/v1/events');
    const total = 20_000;
    for (let i = 0; i < total; i++) {
      rig.sw.emit(event(i));
      if (i % 500 === 0) await new Promise(setImmediate);
    }
    expect(await rig.client.get('/v1/bridges')).toHaveLength(2);
    let text = '';
    stream.setEncoding('utf8');
    stream.on('data', (piece) => (text += piece));
    const lines = () =>
      text
        .split('\n')
        .filter((line) => line.endsWith('}'))
        .map((line) => JSON.parse(line) as { type: string; count?: number });
    const lost = () => lines().reduce((sum, line) => sum + (line.count ?? 0), 0);
    const told = () => lines().filter((line) => line.type === 'worker-restarted').length;
    await expect.poll(() => told() + lost(), { timeout: 30_000, interval: 200 }).toBe(total);
    // What arrives had waited: the API's queue and the socket's own buffers, not the 20 MB that were emitted.
    const waited = lines().findIndex((line) => line.type === 'events-lost') * 1000;
    expect(waited).toBeLessThan(WAITING_BYTES_MAX + SOCKET_BYTES_MAX);
    expect(lost()).toBeGreaterThan(0);
    stream.destroy();
  });
});

describe('captures', () => {
  const frame = (i: number, bytes = 60) => ({
    direction: i % 2 === 0 ? ('in' as const) : ('out' as const),
    time: BigInt(i),
    originalBytes: bytes,
    bytes: new Uint8Array(bytes).fill(i),
  });

  it('pass the options on and end after count frames', async () => {
    const stream = await rig.client.stream(
      '/v1/capture?port=web&direction=in&vlan=10&mac=02-00-00-00-00-0A&etherType=ARP&snapLength=96&count=2',
    );
    await expect.poll(() => rig.sw.captures.length).toBe(1);
    const { options, capture } = rig.sw.captures[0]!;
    expect(options).toEqual({
      bridge: 'br0',
      port: 'web',
      direction: 'in',
      vlan: 10,
      mac: '02:00:00:00:00:0a',
      etherType: 0x0806,
      snapLength: 96,
    });
    for (let i = 0; i < 4; i++) capture.give(frame(i));
    const reader = new PcapngReader(() => undefined);
    for await (const piece of stream) reader.push(piece as Buffer);
    expect([reader.frames, capture.closed, stream.headers['content-type']]).toEqual([2, true, 'application/x-pcapng']);
  });

  it('are closed when the client goes', async () => {
    const stream = await rig.client.stream('/v1/capture?port=web');
    await expect.poll(() => rig.sw.captures.length).toBe(1);
    stream.destroy();
    await expect.poll(() => rig.sw.captures[0]!.capture.closed).toBe(true);
  });

  it('a client that never reads makes the capture lose frames, counted, and holds nobody up', async () => {
    const stream = await rig.client.stream('/v1/capture?port=web');
    await expect.poll(() => rig.sw.captures.length).toBe(1);
    const { capture } = rig.sw.captures[0]!;
    const total = 5000;
    for (let i = 0; i < total; i++) {
      capture.give(frame(i, 1500));
      if (i % 50 === 0) await new Promise(setImmediate);
    }
    expect(capture.lost).toBeGreaterThan(1000);
    expect(await rig.client.get('/v1/bridges')).toHaveLength(2);
    const reader = new PcapngReader(() => undefined);
    stream.on('data', (piece: Buffer) => reader.push(piece));
    await expect.poll(() => reader.frames + capture.lost, { timeout: 5000 }).toBe(total);
    capture.close();
    await once(stream, 'end');
    expect(reader.lost).toBe(capture.lost);
  });

  it('a port name of two bridges has to be told apart', async () => {
    rig.sw.document = {
      bridges: [
        { name: 'a', ports: [{ name: 'p', kind: 'null' }] },
        { name: 'b', ports: [{ name: 'p', kind: 'null' }] },
      ],
    };
    const { body } = await rawRequest(rig, 'GET', '/v1/capture?port=p', '', 'application/json');
    expect(body.error).toMatchObject({ code: 'ambiguous-port', hint: 'name one of a/p, b/p' });
    (await rig.client.stream('/v1/capture?port=p&bridge=b')).destroy();
    expect(rig.sw.captures[0]?.options.bridge).toBe('b');
  });
});

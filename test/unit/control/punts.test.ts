/** What workers hand up reaches who hears its protocol. */
import { expect, it } from 'vitest';
import { type PuntedFrame, Punts } from '../../../control/running/punts.ts';
import { PUNT_RING_BYTES } from '../../../dataplane/limits.ts';
import { BYTE_RING_HEAD_WORDS, ByteRing } from '../../../dataplane/memory/byte-ring.ts';
import { Header, Protocol, Punt, plainArena, workerRegion } from '../../../dataplane/memory/layout.ts';
import { View } from '../../../dataplane/memory/view.ts';

function stand(workers = 2) {
  const view = new View(plainArena({ workers, fdbEntries: 1024 }));
  const ring = (worker: number) =>
    new ByteRing(view.i32, workerRegion(view.layout, Header.PUNT_AT, worker), PUNT_RING_BYTES);
  const put = (worker: number, protocol: number, { port, vlan, about, bytes }: PuntedFrame) => {
    const to = ring(worker);
    const record = to.reserve(bytes.length);
    view.i32.set([port, protocol, bytes.length, vlan, about], record + Punt.PORT);
    view.u8.set(bytes, (record + BYTE_RING_HEAD_WORDS) << 2);
    to.publish(record);
  };
  return { punts: new Punts(view), put };
}

const frame = (port: number, first: number): PuntedFrame => {
  return { port, vlan: port + 1, about: port + 2, bytes: Uint8Array.of(first, 2, 3) };
};

it('gives each frame to its protocol’s receiver, with all that came along', () => {
  const { punts, put } = stand();
  const heard: [string, PuntedFrame][] = [];
  punts.hear(Protocol.SLOW, (one) => void heard.push(['slow', one]));
  punts.hear(Protocol.TOO_BIG, (one) => void heard.push(['too big', one]));
  put(1, Protocol.TOO_BIG, frame(7, 1));
  put(0, Protocol.SLOW, frame(3, 2));
  put(0, Protocol.TOO_BIG, frame(5, 3));
  put(0, Protocol.BINDINGS, frame(5, 4));
  punts.drain();
  expect(heard).toEqual([
    ['slow', frame(3, 2)],
    ['too big', frame(5, 3)],
    ['too big', frame(7, 1)],
  ]);
  punts.drain();
  expect(heard).toHaveLength(3);
});

it('gives nothing twice when a receiver drains again', () => {
  const { punts, put } = stand(1);
  const heard: number[] = [];
  punts.hear(Protocol.SLOW, ({ port }) => {
    heard.push(port);
    punts.drain();
  });
  for (const port of [1, 2, 3]) put(0, Protocol.SLOW, frame(port, 0));
  punts.drain();
  expect(heard).toEqual([1, 2, 3]);
});

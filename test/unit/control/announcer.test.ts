/** A guest that arrived: the switch is told by a frame as if its port had received it. */

import { expect, it } from 'vitest';
import { rarpRequest } from '../../../control/bonding/announcements.ts';
import { Announcer } from '../../../control/running/announcer.ts';
import { Injector } from '../../../control/running/injector.ts';
import { PortBook } from '../../../control/running/port-book.ts';
import { injectRing } from '../../../dataplane/inject.ts';
import { BYTE_RING_HEAD_WORDS } from '../../../dataplane/memory/byte-ring.ts';
import { InjectWord, plainArena, Way } from '../../../dataplane/memory/layout.ts';
import { View } from '../../../dataplane/memory/view.ts';
import { modelOf } from './running-rig.ts';

const MAC = '52:54:00:12:34:56';

it('lies in worker 0’s inject ring as received from the port; other ports and addresses are left alone', () => {
  const view = new View(plainArena({ workers: 1, fdbEntries: 1024 }));
  const book = new PortBook();
  const bridge = modelOf([
    { name: 'a', kind: 'null' },
    { name: 'b', kind: 'null' },
  ]).bridges[0]!;
  book.addBridge(bridge);
  const [, b] = bridge.ports.map((port) => book.addPort('br0', port));
  let kicks = 0;
  const announcer = new Announcer(book, new Injector(view, () => kicks++));
  announcer.announce('br0', 'nobody', MAC);
  announcer.announce('br1', 'b', MAC);
  announcer.announce('br0', 'b', 'not a MAC');
  announcer.announce('br0', 'b', MAC.toUpperCase());
  const ring = injectRing(view, 0);
  const record = ring.peek();
  expect(record).toBeGreaterThan(0);
  const words = [InjectWord.PORT, InjectWord.WAY, InjectWord.BYTES].map((word) => view.i32[record + word]);
  expect(words).toEqual([b!.number, Way.IN, 60]);
  const at = (record + BYTE_RING_HEAD_WORDS) << 2;
  expect(view.u8.slice(at, at + 60)).toEqual(rarpRequest(MAC));
  ring.release(record);
  expect([ring.peek(), kicks]).toEqual([-1, 1]);
});

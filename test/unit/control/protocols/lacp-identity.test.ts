/** Who an LACP system says that it is, where its document doesn't say. */
import { expect, it } from 'vitest';
import { LacpSystem } from '../../../../control/protocols/lacp/system.ts';
import { lacpSettings } from './lacp-rig.ts';

it('is the first member’s address, so that two machines with one document are two systems', () => {
  const sent: Uint8Array[] = [];
  const system = new LacpSystem(lacpSettings({ systemMac: null }), 1, 0, (_, frame) => sent.push(frame));
  system.addPort('a', { number: 1, priority: 1 }, 0);
  system.addPort('b', { number: 2, priority: 1 }, 0);
  system.link('b', true, 1e9, '02:00:00:00:00:0b', 10);
  system.link('a', true, 1e9, '02:00:00:00:00:0a', 20);
  for (let now = 20; now < 3000; now += 100) system.tick(now);
  const systems = new Set(sent.map((frame) => Buffer.from(frame.subarray(20, 26)).toString('hex')));
  expect([...systems]).toEqual(['02000000000b']);
  expect(system.row('a').actor.system).toBe('02:00:00:00:00:0b');
});

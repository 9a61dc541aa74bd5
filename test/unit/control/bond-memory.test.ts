/** Which member was active survives a restart of the daemon: Open vSwitch, "active bond member survives restart". */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeLog } from '../../../control/log.ts';
import { BondMemory } from '../../../control/running/bond-memory.ts';
import { FakeOpener } from './fake-opener.ts';
import { rig } from './running-rig.ts';

const LOG = makeLog({ level: 'silent', stream: process.stderr, colour: false });
let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'weft-bonds-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const socket = () => join(folder, 'weft.sock');

/** A daemon's start: a bond over two interfaces that are there. */
async function start(settings: object = {}) {
  const opener = new FakeOpener();
  opener.opening = (device) => device.come(1);
  const made = rig({ netdev: opener }, new BondMemory(socket(), LOG));
  const members = ['a', 'b'].map((name) => ({ kind: 'netdev', name, device: `eth-${name}` }));
  await made.start([{ name: 'up', kind: 'bond', members, ...settings }]);
  return { bonds: made.base.bonds, active: () => made.base.bonds.of('br0', 'up')!.status().active };
}

it('is active again after the next start, though another is up first', async () => {
  const first = await start();
  expect(first.active()).toBe('a');
  first.bonds.command('br0', 'up', 'b', 'activate');
  expect(first.active()).toBe('b');
  expect((await start()).active()).toBe('b');
  expect(readdirSync(folder)).toEqual(['weft.sock.bonds.json']);
});

it('is whoever was before the end, not whoever was left while members left', async () => {
  const first = await start();
  first.bonds.leave();
  expect((await start()).active()).toBe('a');
  first.bonds.leave();
  expect(new BondMemory(socket(), LOG).recall('br0/up')).toBe('a');
});

it('does not overrule a primary, nor a mode without an active member', async () => {
  const first = await start();
  first.bonds.command('br0', 'up', 'b', 'activate');
  expect((await start({ primary: 'a' })).active()).toBe('a');
  expect((await start({ mode: 'balance-xor' })).active()).toBeNull();
});

it.each(['', 'no JSON', '[1]', '{"br0/up":7}', '{"br0/up":"gone"}'])(
  'is forgotten where the file says %j',
  async (text) => {
    writeFileSync(`${socket()}.bonds.json`, text);
    expect((await start()).active()).toBe('a');
  },
);

it('is no reason to fail where nothing can be written', async () => {
  const memory = new BondMemory(join(folder, 'missing', 'weft.sock'), LOG);
  memory.note('br0/up', 'a');
  expect(memory.recall('br0/up')).toBe('a');
  expect(() => readFileSync(join(folder, 'missing'))).toThrow();
});

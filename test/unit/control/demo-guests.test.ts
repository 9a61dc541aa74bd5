/** The parts of a guest that can be looked at without one: its archive, its modules, its arguments. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execaSync } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { archive, EntryMode } from '../../../control/demo/guests/cpio.ts';
import { cacheFolder } from '../../../control/demo/guests/image.ts';
import { kernelIn } from '../../../control/demo/guests/kernel.ts';
import { dependenciesOf, guestModules } from '../../../control/demo/guests/modules.ts';
import { type Nic, nicArguments } from '../../../control/demo/guests/nic.ts';
import { itNeeds } from '../../needs.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'weft-parts-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(path: string, text = ''): void {
  mkdirSync(join(folder, path, '..'), { recursive: true });
  writeFileSync(join(folder, path), text);
}

describe('the archive', () => {
  const entries = [
    { path: 'bin', mode: EntryMode.FOLDER },
    { path: 'bin/hello', mode: EntryMode.PROGRAM, data: Buffer.from('#!/bin/sh\necho hello\n') },
    { path: 'odd', mode: EntryMode.FILE, data: Buffer.from('12345') },
    { path: 'link', mode: EntryMode.LINK, data: Buffer.from('bin/hello') },
  ];

  it('has records that begin at multiples of four bytes, and ends with its trailer', () => {
    const bytes = archive(entries);
    expect(bytes.length % 4).toBe(0);
    const starts = [...bytes.toString('latin1').matchAll(/070701/g)].map(({ index }) => index);
    expect(starts).toHaveLength(entries.length + 1);
    expect(starts.every((start) => start % 4 === 0)).toBe(true);
    expect(bytes.includes('TRAILER!!!\0')).toBe(true);
  });

  itNeeds({ tools: ['busybox'] }, 'is unpacked by busybox as it was packed', () => {
    execaSync('busybox', ['cpio', '-i'], { cwd: folder, input: archive(entries) });
    expect(readFileSync(join(folder, 'odd'), 'utf8')).toBe('12345');
    expect(execaSync(join(folder, 'link')).stdout).toBe('hello');
  });
});

describe('modules', () => {
  const module = (depends: string) => `ELF\0license=GPL\0depends=${depends}\0name=x\0`;

  it('say what they need', () => {
    expect(dependenciesOf(Buffer.from(module('virtio,virtio_ring')))).toEqual(['virtio', 'virtio_ring']);
    expect(dependenciesOf(Buffer.from(module('')))).toEqual([]);
  });

  it('come after those that they need, once each, whatever their files are called', () => {
    write('kernel/net/b-two.ko', module('c'));
    write('kernel/net/a.ko', module('b_two,c'));
    write('kernel/c.ko', module(''));
    write('modules.builtin', 'kernel/drivers/virtio.ko\n');
    expect(guestModules(folder, ['a', 'c', 'virtio']).map(({ name }) => name)).toEqual(['c', 'b_two', 'a']);
    expect(() => guestModules(folder, ['gone'])).toThrow(/no module gone/);
  });

  it('belong to the newest kernel that has any', () => {
    expect(kernelIn(folder)).toBeNull();
    for (const release of ['6.9.1', '6.10.0', '7.0.0']) write(`boot/vmlinuz-${release}`);
    write('lib/modules/6.9.1/modules.builtin');
    write('lib/modules/6.10.0/modules.builtin');
    expect(kernelIn(folder)?.release).toBe('6.10.0');
  });
});

it('keeps images where the user says, or in the user’s cache', () => {
  expect(cacheFolder({ WEFT_GUEST_CACHE: '/a', XDG_CACHE_HOME: '/b' })).toBe('/a');
  expect(cacheFolder({ XDG_CACHE_HOME: '/b' })).toBe('/b/weft-guests');
  expect(cacheFolder({})).toMatch(/\.cache\/weft-guests$/);
});

describe('network cards', () => {
  const last = (nic: Nic) => nicArguments([nic]).join(' ');
  const mac = '02:00:00:00:00:01';

  it('have a device each, and a number of their own', () => {
    const nics: Nic[] = [
      { mac, netdev: { type: 'stream', path: 'a', listen: false } },
      { mac, netdev: { type: 'dgram', path: 'b', remote: 'c' } },
    ];
    expect(nicArguments(nics)).toEqual([
      ...['-netdev', 'stream,id=net0,server=off,addr.type=unix,addr.path=a'],
      ...['-device', `virtio-net-pci,netdev=net0,mac=${mac},romfile=,vectors=4`],
      ...['-netdev', 'dgram,id=net1,local.type=unix,local.path=b,remote.type=unix,remote.path=c'],
      ...['-device', `virtio-net-pci,netdev=net1,mac=${mac},romfile=,vectors=4`],
    ]);
  });

  it('reconnect to a switch that listens, and wait for one that doesn’t', () => {
    expect(last({ mac, netdev: { type: 'vhost-user', path: 'v', listen: false } })).toContain('reconnect=1');
    expect(last({ mac, netdev: { type: 'vhost-user', path: 'v', listen: true } })).toContain('server=on,wait=off');
  });

  it('have queues and an interrupt for each ring, but for vhost-user', () => {
    expect(last({ mac, netdev: { type: 'tap', device: 't', queues: 2 } })).toMatch(/queues=2.*mq=on,vectors=6/);
    expect(last({ mac, netdev: { type: 'vhost-user', path: 'v', listen: true } })).toContain('vectors=0');
  });

  it('do without offloads where they are told to', () => {
    expect(last({ mac, netdev: { type: 'tap', device: 't' } })).not.toContain('csum=off');
    expect(last({ mac, netdev: { type: 'tap', device: 't' }, offloads: false })).toMatch(/csum=off.*guest_tso4=off/);
  });
});

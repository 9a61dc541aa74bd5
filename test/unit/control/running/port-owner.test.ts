/** Who has a UDP port: the kernel's tunnels as `ip` tells them, and processes as /proc does. */

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import type { RunIp } from '../../../../control/devices/ip.ts';
import { ownerOfPort } from '../../../../control/running/port-owner.ts';

const nothing: RunIp = async () => ({ exitCode: 0, stdout: '', stderr: '' });
const folders: string[] = [];

function fakeProc(udp: string, udp6: string): string {
  const proc = mkdtempSync(join(tmpdir(), 'weft-proc-'));
  folders.push(proc);
  mkdirSync(join(proc, 'net'));
  writeFileSync(join(proc, 'net/udp'), `  sl  local_address rem_address\n${udp}\n`);
  writeFileSync(join(proc, 'net/udp6'), `  sl  local_address rem_address\n${udp6}\n`);
  mkdirSync(join(proc, '321/fd'), { recursive: true });
  writeFileSync(join(proc, '321/comm'), 'squid\n');
  symlinkSync('socket:[4711]', join(proc, '321/fd/5'));
  return proc;
}

function line(address: string, inode: number): string {
  return ` 42: ${address} 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 ${inode} 2 0 0`;
}

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

it.each([
  ['the address', line('010200C0:12B5', 4711), '', 'process 321 (squid)'],
  ['all addresses', line('00000000:12B5', 4711), '', 'process 321 (squid)'],
  ['all addresses of IPv6', '', line('00000000000000000000000000000000:12B5', 4711), 'process 321 (squid)'],
  ['another address', line('020200C0:12B5', 4711), '', null],
  ['another port', line('010200C0:12B6', 4711), '', null],
  ['a process that can’t be seen', line('010200C0:12B5', 4712), '', null],
])('finds who is bound to %s', async (_, udp, udp6, found) => {
  expect(await ownerOfPort('192.0.2.1', 4789, { run: nothing, proc: fakeProc(udp, udp6) })).toBe(found);
});

it('names the kernel’s own device', async () => {
  const links = [{ ifname: 'vx0', linkinfo: { info_data: { port: 4789 } } }];
  const run: RunIp = async (args) => {
    return { exitCode: 0, stdout: args.includes('vxlan') ? JSON.stringify(links) : '', stderr: '' };
  };
  const proc = fakeProc('', '');
  expect(await ownerOfPort('192.0.2.1', 4789, { run, proc })).toBe("the kernel's vxlan device vx0");
  expect(await ownerOfPort('192.0.2.1', 8472, { run, proc })).toBeNull();
});

it('finds this process', async () => {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const owner = await ownerOfPort('127.0.0.1', socket.address().port, { run: nothing });
  socket.close();
  expect(owner).toContain(`process ${process.pid} (`);
});

/**
 * The rig's own ground, without a switch: a guest boots and answers, and two whose cards are joined by QEMU itself talk to each other. What
 * fails here is no fault of the switch.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { guestImage } from '../../control/demo/guests/image.ts';
import { type Nic, nicArguments } from '../../control/demo/guests/nic.ts';
import { Vm } from '../../control/demo/guests/vm.ts';
import { describeNeeds, findTool, GUESTS, isLong } from '../needs.ts';

describeNeeds(GUESTS, 'a guest', () => {
  let folder: string;
  const vms: Vm[] = [];
  const start = async (name: string, nic: Nic): Promise<Vm> => {
    const image = await guestImage(findTool('busybox')!);
    const vm = await Vm.start({ image, folder, name, args: nicArguments([nic]) });
    vms.push(vm);
    return vm;
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'weft-vm-'));
    const path = join(folder, 'wire');
    await start('a', { mac: '02:00:00:00:00:0a', netdev: { type: 'stream', path, listen: true } });
    await start('b', { mac: '02:00:00:00:00:0b', netdev: { type: 'stream', path, listen: false } });
  }, 120_000);
  afterAll(async () => {
    await Promise.all(vms.map((vm) => vm.kill()));
    rmSync(folder, { recursive: true, force: true });
  });

  it('answers with output and status, several questions in their order', async () => {
    const [a] = vms as [Vm, Vm];
    expect(await a.ask('printf "two\\nlines, no end"; exit 3')).toEqual({ status: 3, output: 'two\nlines, no end' });
    const long = a.run('seq 1 20000');
    expect(await a.run("echo 7 end 0; echo 'it''s'")).toBe('7 end 0\nits\n');
    expect((await long).split('\n')).toHaveLength(20_001);
    await expect(a.run('false')).rejects.toThrow(/status 1/);
    expect(await a.ask('sleep 20', 1)).toMatchObject({ status: 143 });
  });

  it('talks to another over a wire of QEMU’s own: ping and TCP', async () => {
    const [a, b] = vms as [Vm, Vm];
    await a.run('ip addr add 10.8.0.1/24 dev eth0; ip link set eth0 up');
    await b.run('ip addr add 10.8.0.2/24 dev eth0; ip link set eth0 up');
    expect(await a.run('ping -c 2 -W 5 10.8.0.2')).toContain(' 0% packet loss');
    await a.run('head -c 1000000 /dev/urandom >/run/file; httpd -h /run');
    const [sent] = (await a.run('sha256sum </run/file')).split(' ');
    expect(await b.run('wget -q -O - http://10.8.0.1/file | sha256sum')).toContain(sent);
  });

  const itLong = isLong() ? it : () => {};
  itLong('starts anew, and forgets what it was asked before', async () => {
    const [a] = vms as [Vm, Vm];
    await a.run('touch /run/mark');
    const asked = a.run('sleep 30');
    asked.catch(() => undefined);
    const boots = a.boots;
    await a.reset();
    await expect(asked).rejects.toThrow(/started anew/);
    expect(a.boots).toBe(boots + 1);
    expect((await a.ask('test -e /run/mark')).status).toBe(1);
  });

  it('says what QEMU said when it can’t start', async () => {
    const nic: Nic = { mac: 'nonsense', netdev: { type: 'stream', path: join(folder, 'other'), listen: true } };
    await expect(start('c', nic)).rejects.toThrow(/ended \(exit 1\):\s.*mac/is);
  });
});

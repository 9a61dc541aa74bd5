/** Sockets of `socket` ports that a group may use, over the real addon: streams and datagrams. Of vhost-user see vhost-user-port.test.ts. */
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { PortDevice, PortHost } from '../../control/devices/port-device.ts';
import { socketOpener } from '../../control/devices/socket/opener.ts';
import { groupId } from '../../control/groups.ts';
import { portModel, type SocketModel } from '../../control/model/model.ts';
import { addon } from '../../native/binding.ts';
import { describeNeeds } from '../needs.ts';

const HOST: PortHost = { bridge: 'br0', port: 'vm', workers: 1, changed: () => {}, aside: async (change) => change() };
const because = groupId('kvm') === null ? 'this host has no group kvm' : null;

describeNeeds({ addon: true, root: true, because }, 'the socket of a port with a group', () => {
  let folder: string;
  const path = () => join(folder, 'vm.sock');
  const open = (more: object): Promise<PortDevice> => {
    const model = portModel('br0', { name: 'vm', kind: 'socket', socket: path(), ...more }, []) as SocketModel;
    return socketOpener(addon()).open(model, HOST);
  };
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'weft-group-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it.each([
    ['stream', { type: 'stream' }],
    ['dgram', { type: 'dgram', remote: '/nowhere/guest.sock' }],
  ])('of type %s', async (_, type) => {
    const port = await open({ ...type, group: 'kvm' });
    const { mode, gid } = statSync(path());
    expect([mode & 0o777, gid]).toEqual([0o660, groupId('kvm')]);
    await port.close();
    await expect(open({ ...type, group: 'none-such' })).rejects.toMatchObject({ code: 'no-group' });
    expect(existsSync(path())).toBe(false);
    const own = await open(type);
    expect(statSync(path()).mode & 0o777).toBe(0o600);
    await own.close();
  });
});

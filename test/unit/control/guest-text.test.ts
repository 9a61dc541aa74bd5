/** What QEMU and libvirt are told, as golden text for each way to attach a guest. QEMU 7.2 took each of these lines. */
import { describe, expect, it } from 'vitest';
import { libvirtXml } from '../../../control/cli/guest-libvirt.ts';
import { qemuArguments } from '../../../control/cli/guest-qemu.ts';
import type { PortDetail } from '../../../control/switch.ts';

const NONE = { frames: 0, bytes: 0, segments: 0 };

function port(more: Partial<PortDetail>): PortDetail {
  return {
    bridge: 'br0',
    name: 'vm1',
    kind: 'vhost-user',
    device: null,
    netns: null,
    socket: null,
    up: true,
    reason: null,
    vlan: 'trunk all',
    mtu: 1500,
    speed: null,
    receive: NONE,
    transmit: NONE,
    missed: {},
    dropped: {},
    fdbEntries: 0,
    mac: '02:aa:bb:cc:dd:ee',
    settings: {},
    details: {},
    ...more,
  };
}

const vhostUser = (settings: PortDetail['settings'], more: Partial<PortDetail> = {}) =>
  port({ socket: '/run/weft/vm1.sock', settings, ...more });
const socket = (settings: PortDetail['settings'], more: Partial<PortDetail> = {}) =>
  port({ kind: 'socket', name: 'vm3', socket: '/run/weft/vm3.sock', settings, ...more });
const netdev = (more: Partial<PortDetail> = {}) =>
  port({ kind: 'netdev', name: 'vm2', device: 'tap-vm2', settings: { 'take-over': false }, ...more });

const qemu = (of: PortDetail, memory = '1G') => `${qemuArguments(of, memory).lines.join('\n')}\n`;
const xml = (of: PortDetail) => `${libvirtXml(of).lines.join('\n')}\n`;

describe('QEMU', () => {
  it('vhost-user, weft listens', () => {
    expect(qemu(vhostUser({ mode: 'server', queues: 1 }), '512M')).toBe(`-m 512M
-object memory-backend-memfd,id=weft-memory,size=512M,share=on
-machine memory-backend=weft-memory
-chardev socket,id=weft-vm1-socket,path=/run/weft/vm1.sock,server=off,reconnect=1
-netdev vhost-user,id=weft-vm1,chardev=weft-vm1-socket,queues=1
-device virtio-net-pci,netdev=weft-vm1,mac=02:aa:bb:cc:dd:ee,mrg_rxbuf=on,host_mtu=1500
`);
  });

  it('vhost-user, QEMU listens, several queues', () => {
    const of = vhostUser({ mode: 'client', queues: 4 }, { mtu: 9000 });
    expect(qemu(of)).toBe(`-m 1G
-object memory-backend-memfd,id=weft-memory,size=1G,share=on
-machine memory-backend=weft-memory
-chardev socket,id=weft-vm1-socket,path=/run/weft/vm1.sock,server=on,wait=off
-netdev vhost-user,id=weft-vm1,chardev=weft-vm1-socket,queues=4
-device virtio-net-pci,netdev=weft-vm1,mac=02:aa:bb:cc:dd:ee,mq=on,vectors=10,mrg_rxbuf=on,host_mtu=9000
`);
    expect(qemuArguments(of, '1G').remarks.join('\n')).toContain('-smp 4');
  });

  it('netdev: the TAP that QEMU holds', () => {
    expect(qemu(netdev())).toBe(`-netdev tap,id=weft-vm2,ifname=tap-vm2,script=no,downscript=no,vhost=off
-device virtio-net-pci,netdev=weft-vm2,mac=02:aa:bb:cc:dd:ee
`);
    expect(qemu(netdev({ mtu: 9000 }))).toMatch(/,mac=02:aa:bb:cc:dd:ee,host_mtu=9000\n$/);
    expect(qemuArguments(netdev(), '1G').remarks.join('\n')).toContain('vhost=on is faster');
  });

  it('socket, stream, either side listening', () => {
    expect(
      qemu(socket({ type: 'stream', mode: 'server' })),
    ).toBe(`-netdev stream,id=weft-vm3,server=off,addr.type=unix,addr.path=/run/weft/vm3.sock
-device virtio-net-pci,netdev=weft-vm3,mac=02:aa:bb:cc:dd:ee
`);
    expect(qemu(socket({ type: 'stream', mode: 'client' }))).toContain(',server=on,');
  });

  it('socket, dgram: our path is QEMU’s remote one', () => {
    expect(
      qemu(socket({ type: 'dgram', remote: '/run/weft/vm3-guest.sock' })),
    ).toBe(`-netdev dgram,id=weft-vm3,local.type=unix,local.path=/run/weft/vm3-guest.sock,remote.type=unix,remote.path=/run/weft/vm3.sock
-device virtio-net-pci,netdev=weft-vm3,mac=02:aa:bb:cc:dd:ee
`);
  });

  it('a comma in a path is doubled, a colon in a name is none in an id', () => {
    const text = qemu(socket({ type: 'stream', mode: 'server' }, { socket: '/run/a,b', name: 'x:y' }));
    expect(text).toContain('id=weft-x-y,server=off,addr.type=unix,addr.path=/run/a,,b\n');
  });

  it('a tap port and ports without another side say what to use instead', () => {
    expect(() => qemu(port({ kind: 'tap', device: 'web' }))).toThrow('weft itself holds its TAP, so that no guest can');
    expect(() => xml(port({ kind: 'patch' }))).toThrow('br0/vm1 is a patch port, at which no guest can be');
  });
});

describe('libvirt', () => {
  it('vhost-user, weft listens', () => {
    expect(xml(vhostUser({ mode: 'server', queues: 2 }))).toBe(`<!-- in <domain>, once -->
<memoryBacking>
  <source type='memfd'/>
  <access mode='shared'/>
</memoryBacking>
<!-- in <devices> -->
<interface type='vhostuser'>
  <mac address='02:aa:bb:cc:dd:ee'/>
  <source type='unix' path='/run/weft/vm1.sock' mode='client'>
    <reconnect enabled='yes' timeout='1'/>
  </source>
  <model type='virtio'/>
  <driver queues='2'/>
  <mtu size='1500'/>
</interface>
`);
  });

  it('vhost-user, QEMU listens', () => {
    const text = xml(vhostUser({ mode: 'client', queues: 1 }, { socket: "/run/it's<&>.sock" }));
    expect(text).toContain("<source type='unix' path='/run/it&apos;s&lt;&amp;>.sock' mode='server'/>\n  <model");
    expect(text).not.toContain('reconnect');
  });

  it('netdev: a TAP made outside, and a name that libvirt would not keep', () => {
    expect(xml(netdev())).toBe(`<!-- in <devices> -->
<interface type='ethernet'>
  <mac address='02:aa:bb:cc:dd:ee'/>
  <target dev='tap-vm2' managed='no'/>
  <model type='virtio'/>
</interface>
`);
    const remarks = (device: string) => libvirtXml(netdev({ device })).remarks.join('\n');
    expect(remarks('vnet2')).toContain('libvirt gives names like vnet2 itself');
    expect(remarks('tap-vm2')).not.toContain('itself');
  });

  it('socket: QEMU’s arguments, passed through', () => {
    expect(
      xml(socket({ type: 'stream', mode: 'server' })),
    ).toBe(`<!-- in <domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'> -->
<qemu:commandline>
  <qemu:arg value='-netdev'/>
  <qemu:arg value='stream,id=weft-vm3,server=off,addr.type=unix,addr.path=/run/weft/vm3.sock'/>
  <qemu:arg value='-device'/>
  <qemu:arg value='virtio-net-pci,netdev=weft-vm3,mac=02:aa:bb:cc:dd:ee'/>
</qemu:commandline>
`);
  });
});

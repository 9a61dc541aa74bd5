/**
 * What a libvirt domain must say so that its guest is at a port, after libvirt.org/formatdomain.html ("vhost-user interface", "Generic
 * ethernet connection", "Memory Backing") and drvqemu.html ("Pass-through of arbitrary QEMU commands") for what libvirt has no element
 * for. Called by `weft port show --libvirt`; pure.
 */
import type { PortDetail } from '../switch.ts';
import { type GuestText, qemuArguments, refuseKind } from './guest-qemu.ts';

/** libvirt gives such names itself and forgets those that a document gives. */
const LIBVIRTS_NAMES = /^(vnet|vif|macvtap|macvlan)\d/;

function text(value: string): string {
  return value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll("'", '&apos;');
}

function vhostUser(port: PortDetail): GuestText {
  const { mode, queues } = port.settings as { mode: string; queues: number };
  const path = text(port.socket!);
  const source =
    mode === 'server'
      ? [
          `  <source type='unix' path='${path}' mode='client'>`,
          "    <reconnect enabled='yes' timeout='1'/>",
          '  </source>',
        ]
      : [`  <source type='unix' path='${path}' mode='server'/>`];
  return {
    lines: [
      '<!-- in <domain>, once -->',
      '<memoryBacking>',
      "  <source type='memfd'/>",
      "  <access mode='shared'/>",
      '</memoryBacking>',
      '<!-- in <devices> -->',
      "<interface type='vhostuser'>",
      `  <mac address='${port.mac}'/>`,
      ...source,
      "  <model type='virtio'/>",
      ...(queues > 1 ? [`  <driver queues='${queues}'/>`] : []),
      `  <mtu size='${port.mtu}'/>`,
      '</interface>',
    ],
    remarks: [
      'mode is libvirt’s: client where weft listens',
      ...(mode === 'server' && port.settings.group === undefined
        ? ['libvirt’s QEMU is another user: give the port a group that it is in (group: kvm), or it can’t connect']
        : []),
      'where QEMU is confined (AppArmor, SELinux) the profile must let it use the socket',
    ],
  };
}

function netdev(port: PortDetail): GuestText {
  const device = port.device!;
  const reserved = LIBVIRTS_NAMES.test(device)
    ? [`libvirt gives names like ${device} itself and would not keep this one: give the TAP and the port another`]
    : [];
  return {
    lines: [
      '<!-- in <devices> -->',
      "<interface type='ethernet'>",
      `  <mac address='${port.mac}'/>`,
      `  <target dev='${text(device)}' managed='no'/>`,
      "  <model type='virtio'/>",
      ...(port.mtu === 1500 ? [] : [`  <mtu size='${port.mtu}'/>`]),
      '</interface>',
    ],
    remarks: [
      `make the TAP before: ip tuntap add dev ${device} mode tap && ip link set ${device} up`,
      'left to libvirt (no managed attribute), the TAP is made and removed with the guest, and weft follows it',
      ...reserved,
    ],
  };
}

/** libvirt knows no unix sockets of `-netdev stream` and `dgram`: QEMU's own arguments. */
function socket(port: PortDetail): GuestText {
  const { lines, remarks } = qemuArguments(port, '1G');
  const args = lines.flatMap((line) => {
    const space = line.indexOf(' ');
    return [line.slice(0, space), line.slice(space + 1)];
  });
  return {
    lines: [
      "<!-- in <domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'> -->",
      '<qemu:commandline>',
      ...args.map((arg) => `  <qemu:arg value='${text(arg)}'/>`),
      '</qemu:commandline>',
    ],
    remarks: [
      'libvirt has no element for this: QEMU gets the arguments as they are',
      'where libvirt gave the same PCI slot to another device, add ,addr=0x1e to the -device',
      ...remarks,
    ],
  };
}

/** Throws a RequestError for kinds that no guest can be at. */
export function libvirtXml(port: PortDetail): GuestText {
  switch (port.kind) {
    case 'vhost-user':
      return vhostUser(port);
    case 'netdev':
      return netdev(port);
    case 'socket':
      return socket(port);
    default:
      return refuseKind(port);
  }
}

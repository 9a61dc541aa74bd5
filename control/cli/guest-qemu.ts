/**
 * What QEMU must be told so that its guest is at a port: arguments, each option with its value as one entry, and remarks for whoever
 * starts it. Syntax: qemu(1), `-netdev`, `-chardev`, `-object memory-backend-memfd`, `-device virtio-net-pci,help`; accepted by 7.2.
 * Called by `weft port show --qemu`; pure.
 */
import { RequestError } from '../errors.ts';
import type { PortDetail } from '../switch.ts';

export interface GuestText {
  /** Lines that a program can read. */
  readonly lines: readonly string[];
  /** What a person should know beside them. */
  readonly remarks: readonly string[];
}

/** An id of QEMU's: letters, digits and - . _ */
export function guestId(port: Pick<PortDetail, 'name'>): string {
  return `weft-${port.name.replace(/[^A-Za-z0-9._-]/g, '-')}`;
}

/** In an option a comma ends the value, unless it is doubled. */
function value(text: string): string {
  return text.replaceAll(',', ',,');
}

/** Throws a RequestError for kinds that no guest can be at. */
export function refuseKind(port: PortDetail): never {
  const subject = `${port.bridge}/${port.name}`;
  if (port.kind === 'tap') {
    throw new RequestError(
      'no-guest-here',
      `${subject} is a tap port: weft itself holds its TAP, so that no guest can`,
      'a TAP that QEMU holds is a port of kind netdev: `weft port add BRIDGE/PORT --kind netdev --device TAP`',
    );
  }
  throw new RequestError(
    'no-guest-here',
    `${subject} is a ${port.kind} port, at which no guest can be`,
    'ports for guests are of kind vhost-user, netdev or socket',
  );
}

function device(port: PortDetail, more: readonly string[] = []): string {
  return ['-device virtio-net-pci', `netdev=${guestId(port)}`, `mac=${port.mac}`, ...more].join(',');
}

function vhostUser(port: PortDetail, memory: string): GuestText {
  const id = guestId(port);
  const { mode, queues } = port.settings as { mode: string; queues: number };
  const who = mode === 'server' ? 'server=off,reconnect=1' : 'server=on,wait=off';
  const several = queues > 1 ? ['mq=on', `vectors=${2 * queues + 2}`] : [];
  return {
    lines: [
      `-m ${memory}`,
      `-object memory-backend-memfd,id=weft-memory,size=${memory},share=on`,
      '-machine memory-backend=weft-memory',
      `-chardev socket,id=${id}-socket,path=${value(port.socket!)},${who}`,
      `-netdev vhost-user,id=${id},chardev=${id}-socket,queues=${queues}`,
      device(port, [...several, 'mrg_rxbuf=on', `host_mtu=${port.mtu}`]),
    ],
    remarks: [
      '-m and size are the guest’s memory, and the same (--memory); a guest with several such ports names its memory once',
      ...(queues > 1 ? [`for all ${queues} queue pairs the guest needs as many CPUs: -smp ${queues}`] : []),
    ],
  };
}

function netdev(port: PortDetail): GuestText {
  const id = guestId(port);
  const mtu = port.mtu === 1500 ? [] : [`host_mtu=${port.mtu}`];
  return {
    lines: [`-netdev tap,id=${id},ifname=${value(port.device!)},script=no,downscript=no,vhost=off`, device(port, mtu)],
    remarks: [
      'QEMU holds the TAP, and weft takes the frames at its other end',
      `make the TAP before, or set it up once QEMU has made it: ip link set ${port.device} up`,
      'vhost=on is faster where the kernel has vhost-net (/dev/vhost-net)',
    ],
  };
}

function stream(port: PortDetail): GuestText {
  const weftListens = port.settings.mode === 'server';
  const address = `addr.type=unix,addr.path=${value(port.socket!)}`;
  return {
    lines: [`-netdev stream,id=${guestId(port)},server=${weftListens ? 'off' : 'on'},${address}`, device(port)],
    remarks: weftListens
      ? [
          'QEMU before 8.0 does not come back when weft was started again; from 8.0 on add ,reconnect=1 (9.2: ,reconnect-ms=1000)',
        ]
      : ['QEMU listens, and weft comes back to it when either was started again'],
  };
}

function dgram(port: PortDetail): GuestText {
  const local = `local.type=unix,local.path=${value(String(port.settings.remote))}`;
  const remote = `remote.type=unix,remote.path=${value(port.socket!)}`;
  return {
    lines: [`-netdev dgram,id=${guestId(port)},${local},${remote}`, device(port)],
    remarks: ['QEMU makes the local path; remove what a killed QEMU left there'],
  };
}

/** `memory` as QEMU writes sizes: `1G`. */
export function qemuArguments(port: PortDetail, memory: string): GuestText {
  switch (port.kind) {
    case 'vhost-user':
      return vhostUser(port, memory);
    case 'netdev':
      return netdev(port);
    case 'socket':
      return port.settings.type === 'dgram' ? dgram(port) : stream(port);
    default:
      return refuseKind(port);
  }
}

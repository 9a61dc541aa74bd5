/**
 * A guest's network cards as arguments of QEMU: virtio-net over whatever joins it to a switch. Used by the demo and by the tests. Pure.
 */

/** What stands behind a card. `listen`: QEMU waits for the switch at `path`; otherwise it connects there, once, when it starts. */
export type Netdev =
  /** A TAP that QEMU makes, and holds while it runs; needs root. */
  | { readonly type: 'tap'; readonly device: string; readonly queues?: number }
  | { readonly type: 'stream'; readonly path: string; readonly listen: boolean }
  /** `path` is where QEMU receives, `remote` where the switch does. */
  | { readonly type: 'dgram'; readonly path: string; readonly remote: string }
  | { readonly type: 'vhost-user'; readonly path: string; readonly listen: boolean; readonly queues?: number };

export interface Nic {
  readonly mac: string;
  readonly netdev: Netdev;
  /** False: the guest finishes every checksum and segment itself, and takes none that isn't. Default true. */
  readonly offloads?: boolean;
}

const OFFLOADS = ['csum', 'gso', 'host_tso4', 'host_tso6', 'host_ecn', 'host_ufo'];
const GUEST_OFFLOADS = ['guest_csum', 'guest_tso4', 'guest_tso6', 'guest_ecn', 'guest_ufo'];
const RECONNECT_SECONDS = 1;

function onOff(value: boolean): string {
  return value ? 'on' : 'off';
}

function netdevArguments(netdev: Netdev, index: number): string[] {
  const id = `id=net${index}`;
  switch (netdev.type) {
    case 'tap': {
      const queues = netdev.queues === undefined ? '' : `,queues=${netdev.queues}`;
      return ['-netdev', `tap,${id},ifname=${netdev.device},script=no,downscript=no${queues}`];
    }
    case 'stream':
      return ['-netdev', `stream,${id},server=${onOff(netdev.listen)},addr.type=unix,addr.path=${netdev.path}`];
    case 'dgram': {
      const paths = `local.type=unix,local.path=${netdev.path},remote.type=unix,remote.path=${netdev.remote}`;
      return ['-netdev', `dgram,${id},${paths}`];
    }
    case 'vhost-user': {
      const role = netdev.listen ? 'server=on,wait=off' : `server=off,reconnect=${RECONNECT_SECONDS}`;
      const queues = netdev.queues === undefined ? '' : `,queues=${netdev.queues}`;
      return [
        ...['-chardev', `socket,id=char${index},path=${netdev.path},${role}`],
        ...['-netdev', `vhost-user,${id},chardev=char${index}${queues}`],
      ];
    }
  }
}

function cardArguments({ mac, netdev, offloads = true }: Nic, index: number): string[] {
  const queues = 'queues' in netdev ? (netdev.queues ?? 1) : 1;
  // One interrupt for all rings: with message-signalled ones QEMU 7.2 without KVM crashes when a vhost-user card starts.
  const vectors = netdev.type === 'vhost-user' ? 0 : 2 * queues + 2;
  const many = `${queues > 1 ? ',mq=on' : ''},vectors=${vectors}`;
  const less = offloads ? '' : [...OFFLOADS, ...GUEST_OFFLOADS].map((name) => `,${name}=off`).join('');
  return ['-device', `virtio-net-pci,netdev=net${index},mac=${mac},romfile=${many}${less}`];
}

/** Arguments for all cards of one guest; its vhost-user cards need shared memory (vm.ts). */
export function nicArguments(nics: readonly Nic[]): string[] {
  return nics.flatMap((nic, index) => [...netdevArguments(nic.netdev, index), ...cardArguments(nic, index)]);
}

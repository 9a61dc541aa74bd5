/** The kernel as tunnels see it: which addresses this machine has, which ports are taken, and how it would send to whom. */
import { constants } from 'node:os';
import type { TunnelNative } from '../../../control/running/tunnels.ts';
import type { ReceiverOptions, SenderOptions, TunnelTrouble, Way } from '../../../native/binding.ts';

const { EADDRNOTAVAIL, ENETUNREACH } = constants.errno;

function failure(code: string, syscall: string): Error {
  return Object.assign(new Error(`${syscall}: ${code}`), { code, syscall });
}

export class FakeUnderlay implements TunnelNative {
  /** Addresses of this machine. */
  readonly addresses = new Set(['192.0.2.1', '2001:db8::1']);
  /** UDP ports that somebody else has. */
  readonly taken = new Set<number>();
  /** Ways that are not as `usual`. */
  readonly ways = new Map<string, Way>();
  usual: Way = { error: 0, mtu: 1500, device: 2 };
  readonly interfaces = new Map([
    ['lo', 1],
    ['eth0', 2],
  ]);
  readonly receivers = new Map<number, ReceiverOptions>();
  readonly senders = new Map<number, SenderOptions>();
  readonly groups = new Set<string>();
  refusesGroups = false;
  readonly troubles = new Map<number, TunnelTrouble[]>();
  readonly closed: number[] = [];
  asked = 0;
  #handle = 1000;

  openTunnelReceiver(options: ReceiverOptions): number {
    if (!this.addresses.has(options.local)) throw failure('EADDRNOTAVAIL', 'bind');
    const same = [...this.receivers.values()].some(
      ({ local, port }) => options.kind !== 'gre' && local === options.local && port === options.port,
    );
    if (same || this.taken.has(options.port)) throw failure('EADDRINUSE', 'bind');
    this.receivers.set(++this.#handle, options);
    return this.#handle;
  }

  openTunnelSender(options: SenderOptions): number {
    if (!this.addresses.has(options.local)) throw failure('EADDRNOTAVAIL', 'bind');
    this.senders.set(++this.#handle, options);
    return this.#handle;
  }

  joinTunnelGroup(handle: number, group: string, device: number): void {
    if (this.refusesGroups) throw failure('ENOBUFS', `join ${group}`);
    this.groups.add(`${handle} ${group} ${device}`);
  }

  leaveTunnelGroup(handle: number, group: string, device: number): void {
    this.groups.delete(`${handle} ${group} ${device}`);
  }

  tunnelReceiverCounts() {
    return { datagrams: 7, messages: 5, merged: 3, missed: 1 };
  }

  tunnelSenderCounts() {
    return { datagrams: 9, messages: 4, errors: 2 };
  }

  tunnelTroubles(handle: number): TunnelTrouble[] {
    const troubles = this.troubles.get(handle) ?? [];
    this.troubles.delete(handle);
    return troubles;
  }

  wayTo(local: string, remote: string): Way {
    this.asked++;
    if (!this.addresses.has(local)) return { error: EADDRNOTAVAIL, mtu: 0, device: 0 };
    if (this.addresses.has(remote)) return { error: 0, mtu: 65_536, device: 1 };
    return this.ways.get(remote) ?? this.usual;
  }

  /** Nobody is reached any more. */
  lose(remote: string): void {
    this.ways.set(remote, { error: ENETUNREACH, mtu: 0, device: 0 });
  }

  /** What `ip -json link show` answers. */
  links(): string {
    return JSON.stringify([...this.interfaces].map(([ifname, ifindex]) => ({ ifindex, ifname })));
  }

  closeDevice(handle: number): void {
    this.closed.push(handle);
    this.receivers.delete(handle);
    this.senders.delete(handle);
  }
}

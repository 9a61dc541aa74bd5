/**
 * The addon as TypeScript sees it. Loaded once per environment; refuses to load when its idea of the arena differs from layout.ts.
 * Cold calls throw an Error with `code`, `errno`, `syscall` and a subject; hot calls take and return int32 only.
 */
import { createRequire } from 'node:module';
import { abiOf } from './abi.ts';
import type { EchoCalls, EchoNotice } from './echo-calls.ts';
import type { TunnelCalls } from './tunnel-calls.ts';

export type {
  ReceiverCounts,
  ReceiverOptions,
  SenderCounts,
  SenderOptions,
  TunnelCalls,
  TunnelKind,
  TunnelTrouble,
  Way,
} from './tunnel-calls.ts';
export type { EchoCalls, EchoNotice };

/** What opening a TAP answers. `handle` names the device in the process-wide registry until `closeDevice`. */
export interface OpenedTap {
  readonly handle: number;
  readonly name: string;
  /** True when no device of that name was there before. */
  readonly created: boolean;
  /** Bits of TUN_F_* that the kernel took. */
  readonly offloads: number;
}

export type SocketType = 'stream' | 'dgram';

export interface Message {
  /** Of a stream: empty at its end. */
  readonly data: Buffer;
  readonly descriptors: readonly number[];
}

/** How a socket's connection ended; another number is −errno. */
export const SocketEnd = { NOT: 0, BY_PEER: 1, BY_FRAMING: 2 } as const;

/** Both are true when the descriptor has an error; the next call on it tells which. */
export type WatchCallback = (readable: boolean, writable: boolean) => void;

/** What opening an interface that exists already answers. */
export interface OpenedNetdev {
  readonly handle: number;
  readonly ifindex: number;
  readonly mtu: number;
  /** Bits of Takes (tables/port-layout.ts). */
  readonly takes: number;
  /** errno of what keeps weft from hiding the interface's frames from the host's own stack; 0: they are hidden. */
  readonly shieldError: number;
}

/** A link as it is now, or was when it was removed (`gone`). */
export interface LinkNotice {
  readonly type: 'link';
  /** The kernel's number of its namespace; null: of the monitor's own. */
  readonly nsid: number | null;
  readonly gone: boolean;
  readonly index: number;
  readonly name: string;
  readonly adminUp: boolean;
  readonly carrier: boolean;
  readonly mtu: number;
}

/** A namespace got a number, or ended or lost it (`gone`). */
export interface NetnsNotice {
  readonly type: 'netns';
  readonly nsid: number;
  readonly gone: boolean;
}

export interface Addon extends TunnelCalls, EchoCalls {
  /** Name and value of every size and offset that both sides use. */
  abi(): Record<string, number>;
  /** Makes the process's arena, once; huge pages when `huge` and there are enough free ones. */
  createArena(bytes: number, huge: boolean): { readonly huge: boolean };
  /** This environment's own mapping of the process's arena. */
  mapArena(): ArrayBuffer;
  /** Opens (and makes, when it isn't there) a multi-queue TAP with all its queues; in the namespace at `netns` or here. */
  openTap(name: string, queues: number, netns: string | null): OpenedTap;
  /** Opens interface `name` with a packet socket for each worker, whose rings hold `slots` frames together; in the namespace at `netns` or here. */
  openNetdev(name: string, workers: number, slots: number, netns: string | null): OpenedNetdev;
  /** Frames of a netdev that found no room in their ring since it was opened. */
  netdevStatistics(handle: number): { readonly missed: number };
  /** Whether the device outlives its last descriptor. */
  persistTap(handle: number, persistent: boolean): void;
  /** Gives up the registry's reference; workers that still hold a queue keep it open until they detach. */
  closeDevice(handle: number): void;
  /** Ends worker `index`'s wait. Callable from any thread. */
  kick(index: number): void;
  /** The kernel's counters of every device in the namespace at `netns` (null: this one): the text of /proc/net/dev. */
  deviceCounters(netns: string | null): string;
  /** Devices in the registry. */
  devices(): number;

  /** Binds a unix socket to `path`, at most 107 bytes long, which must not exist; a stream listens too. Main thread, like all of these. */
  listenUnix(path: string, type: SocketType): number;
  connectUnix(path: string, type: SocketType): number;
  /** A connection's descriptor, or −errno: −EAGAIN when nobody waits. */
  acceptUnix(fd: number): number;
  /** Up to `max` bytes (1 MiB) and the descriptors that came with them, which are the caller's to close. null: nothing is there now. */
  receiveMessage(fd: number, max: number): Message | null;
  /** Bytes sent, or −errno. At most 16 descriptors, which go with the first byte and stay the caller's. */
  sendMessage(fd: number, data: Uint8Array, descriptors: readonly number[]): number;
  /** Names the peer of a datagram socket that listenUnix made. 0, or −errno. */
  connectTo(fd: number, path: string): number;
  /**
   * A device of a connected unix socket, stream or dgram, with a descriptor of its own: `fd` stays the caller's. Worker `receiver` reads it,
   * all may write. `ended` becomes readable when the connection has ended; it is closed with the device.
   */
  openSocket(fd: number, receiver: number): { readonly handle: number; readonly ended: number };
  /** How its connection ended, and the frames that the other side was too slow for. */
  socketState(handle: number): { readonly end: number; readonly full: number };
  /** Who the other end of a connection was when it was made; null where that is not known. */
  peerOf(fd: number): { readonly pid: number; readonly uid: number } | null;
  /** Closes what the calls above answered. Throws when it is closed already. */
  closeDescriptor(fd: number): void;
  /** Calls back while `fd` is ready, again and again until it is read or written. Close it before the descriptor; closing twice is nothing. */
  watch(fd: number, what: 'read' | 'write' | 'both', callback: WatchCallback): { close(): void };

  /**
   * A descriptor for `watch` that becomes readable when something happens to links of this namespace, or to the numbers that namespaces have
   * in it; with `numbered` to links of namespaces that have one, which needs CAP_NET_BROADCAST (EPERM).
   */
  openLinkMonitor(numbered: boolean): number;
  /** What came since, oldest first. Throws ENOBUFS when the kernel had to leave something out: look, and open another monitor. */
  readLinkMonitor(fd: number, numbered: boolean): (LinkNotice | NetnsNotice)[];

  /** A guest's device, of which `workers` workers will serve a part each. Its handle. */
  openGuest(workers: number): number;
  /**
   * Changes of a guest's memory and rings: only while no worker serves it (−EBUSY). All answer 0 or −errno; addresses of rings are the
   * front end's own, those of regions the guest's; a descriptor passed in is native's from then on.
   */
  guestAddRegion(
    handle: number,
    fd: number,
    guestAddress: bigint,
    bytes: bigint,
    userAddress: bigint,
    offset: bigint,
  ): number;
  guestRemoveRegion(handle: number, guestAddress: bigint): number;
  guestClearRegions(handle: number): number;
  guestFeatures(handle: number, features: bigint): number;
  guestRing(
    handle: number,
    ring: number,
    size: number,
    descriptors: bigint,
    available: bigint,
    used: bigint,
    log: bigint | null,
  ): number;
  /** Where a ring goes on; null: where its used ring ends. */
  guestRingBase(handle: number, ring: number, base: number | null): number;
  /** The next available entry that will be looked at. */
  guestRingState(handle: number, ring: number): number;
  guestRingRun(handle: number, ring: number, started: boolean, enabled: boolean): number;
  guestKick(handle: number, ring: number, fd: number): number;
  guestCall(handle: number, ring: number, fd: number): number;
  guestLog(handle: number, fd: number, bytes: bigint, offset: bigint): number;
  guestStatus(handle: number): { readonly broken: string | null; readonly bytes: number; readonly served: boolean };
  /** An eventfd of the caller's own that becomes readable when the device broke down. */
  guestAlarm(handle: number): number;

  /** Makes this thread worker `index`: its ring, epoll set and scratch. Returns WorkerIo. */
  engineOpen(index: number, io: 'auto' | 'io_uring' | 'read-write'): number;
  /** errno of what kept this worker from using io_uring though it was allowed to: 0 when nothing did. */
  ringError(): number;
  engineClose(): void;
  /** Serves queue `queue` of device `handle` as `port` from the next turn on. 0, or −errno. */
  attachQueue(port: number, handle: number, queue: number): number;
  detachQueue(port: number): number;
  /** Pins this thread. 0, or −errno. */
  pin(cpu: number): number;
  nameThread(name: string): void;
  /** This thread gets a CPU before its equals, and nothing that it starts inherits that. 0, or −errno: an ordinary user may not. */
  preferThread(): number;

  /** HOT: transmit every listed queue, read the clock, look or wait, receive. Frames received, or −errno for a broken worker. */
  turn(): number;
}

const require = createRequire(import.meta.url);
let loaded: Addon | null = null;

/** The addon of this environment. Throws with the remedy when it was not built or doesn't fit. */
export function addon(): Addon {
  if (loaded !== null) return loaded;
  let found: Addon;
  try {
    found = require(`${addonFolder()}/weft.node`) as Addon;
  } catch (cause) {
    // The first line: what follows is the stack of require calls.
    const [reason] = (cause as Error).message.split('\n');
    throw addonError('no-addon', `the addon could not be loaded: ${reason}`, 'Build it with: npm run build', cause);
  }
  const ours = abiOf();
  for (const [name, theirs] of Object.entries(found.abi())) {
    if (ours[name] !== theirs) {
      const what = `addon and layout.ts disagree on ${name}: ${theirs} there, ${ours[name]} here`;
      throw addonError('addon-mismatch', what, 'They are of different builds. Build both again: npm run build');
    }
  }
  loaded = found;
  return found;
}

/** An error that the command line prints with its remedy; control's own classes are not for native to import. */
function addonError(code: string, message: string, hint: string, cause?: unknown): Error {
  return Object.assign(new Error(message, { cause }), { code, hint });
}

function addonFolder(): string {
  const override = process.env.WEFT_ADDON;
  if (override !== undefined) return override;
  const here = import.meta.dirname;
  // dist/native when compiled, native when run from source by the tests.
  return here.endsWith('/dist/native') ? `${here}/../../build/Release` : `${here}/../build/Release`;
}

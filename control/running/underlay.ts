/**
 * Ways over the underlay: for every pair of local address and remote, how the kernel would send now, how long a packet may be, and what went
 * wrong of late. Asks the kernel at once for a new pair, again for all when told to, and tells those who follow a way when it changed. Made
 * by tunnels.ts; main thread. Sends nothing.
 */
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import type { TunnelTrouble, Way } from '../../native/binding.ts';

const { EADDRNOTAVAIL, ECONNREFUSED, EHOSTUNREACH, EMSGSIZE, ENETUNREACH, EACCES } = constants.errno;

/** How long what a remote, or a router before it, complained of is shown after the last complaint. */
const TROUBLE_MS = 10_000;
/** How long an MTU that a router told is believed: as the kernel does (net.ipv4.route.mtu_expires). */
const MTU_MS = 600_000;
/** Ways that are asked for before other work gets its turn: each is some system calls. */
const SLICE = 256;

/** `refused`: somebody is there and does not listen. */
export type WayState = 'up' | 'refused' | 'unreachable';

/** One way; the same object for all who follow it. */
export interface UnderlayWay {
  readonly local: string;
  readonly remote: string;
  readonly scope: number;
  /** errno; 0: there is a way. */
  readonly error: number;
  /** Longest packet on it, in bytes; 0: there is none. */
  readonly mtu: number;
  /** Index of the interface by which it goes; 0: unknown. */
  readonly device: number;
  readonly state: WayState;
  /** Why it is not up. */
  readonly reason: string | null;
}

class Followed implements UnderlayWay {
  readonly local: string;
  readonly remote: string;
  readonly scope: number;
  error = 0;
  mtu = 0;
  device = 0;
  state: WayState = 'up';
  reason: string | null = null;
  readonly followers = new Set<() => void>();
  /** The kernel's MTU as it was last told, and what a router told beside it. */
  kernelMtu = 0;
  cap: { readonly mtu: number; readonly until: number } | null = null;
  trouble: { readonly errno: number; readonly until: number } | null = null;

  constructor(local: string, remote: string, scope: number) {
    this.local = local;
    this.remote = remote;
    this.scope = scope;
  }

  /** Takes what the kernel says now. Answers whether anything shows. */
  take(way: Way, now: number): boolean {
    const before = [this.error, this.mtu, this.device, this.state].join();
    if (way.mtu !== this.kernelMtu || way.device !== this.device || now > (this.cap?.until ?? 0)) this.cap = null;
    // What came back while the kernel had no way itself is over with that.
    if (way.error !== 0 || now > (this.trouble?.until ?? 0)) this.trouble = null;
    this.kernelMtu = way.mtu;
    this.error = way.error;
    this.device = way.device;
    this.mtu = way.error === 0 ? Math.min(way.mtu, this.cap?.mtu ?? way.mtu) : 0;
    const errno = way.error === 0 ? (this.trouble?.errno ?? 0) : way.error;
    this.state = errno === 0 ? 'up' : errno === ECONNREFUSED ? 'refused' : 'unreachable';
    this.reason = errno === 0 ? null : reasonOf(errno, this.local, way.error !== 0);
    return before !== [this.error, this.mtu, this.device, this.state].join();
  }
}

function reasonOf(errno: number, local: string, kernelSays: boolean): string {
  switch (errno) {
    case EADDRNOTAVAIL:
      return `no interface has the address ${local}`;
    case ECONNREFUSED:
      return 'nobody listens there';
    case EACCES:
      return 'a route or rule of this machine forbids it';
    case ENETUNREACH:
      return kernelSays ? 'no route leads there' : 'a router on the way has no route there';
    case EHOSTUNREACH:
      return kernelSays ? 'a route says that it is unreachable' : 'nobody answers there';
    default:
      return getSystemErrorName(-errno);
  }
}

/** The local address is not this machine's. */
export function isLocalMissing({ error }: UnderlayWay): boolean {
  return error === EADDRNOTAVAIL;
}

export type AskWay = (local: string, remote: string, scope: number) => Way;

export class Underlay {
  readonly #ask: AskWay;
  readonly #now: () => number;
  readonly #ways = new Map<string, Followed>();
  /** How many ways have each scope. */
  readonly #scopes = new Map<number, number>();
  /** Ways still to be asked for in the round that is under way. */
  #round: Followed[] = [];
  #again: NodeJS.Immediate | undefined;

  constructor(ask: AskWay, now: () => number = () => performance.now()) {
    this.#ask = ask;
    this.#now = now;
  }

  get count(): number {
    return this.#ways.size;
  }

  /** The way to a remote, asked for at once where nobody follows it yet; `onChange` is called from the next look on. */
  follow(local: string, remote: string, scope: number, onChange: () => void): UnderlayWay {
    const key = `${local} ${remote} ${scope}`;
    let way = this.#ways.get(key);
    if (way === undefined) {
      way = new Followed(local, remote, scope);
      this.#ways.set(key, way);
      this.#scopes.set(scope, (this.#scopes.get(scope) ?? 0) + 1);
      way.take(this.#ask(local, remote, scope), this.#now());
    }
    way.followers.add(onChange);
    return way;
  }

  unfollow(way: UnderlayWay, onChange: () => void): void {
    const key = `${way.local} ${way.remote} ${way.scope}`;
    const followed = this.#ways.get(key);
    followed?.followers.delete(onChange);
    if (followed?.followers.size !== 0) return;
    this.#ways.delete(key);
    const left = this.#scopes.get(way.scope)! - 1;
    if (left > 0) this.#scopes.set(way.scope, left);
    else this.#scopes.delete(way.scope);
  }

  /** Asks for all ways again: the first of them at once, the rest between other work. */
  review(): void {
    this.#round = [...this.#ways.values()];
    this.#slice();
  }

  /** What came back on sockets that send from `local`. */
  hear(local: string, troubles: readonly TunnelTrouble[]): void {
    const now = this.#now();
    const changed: Followed[] = [];
    for (const { address, errno, mtu } of troubles) {
      for (const scope of this.#scopes.keys()) {
        const way = this.#ways.get(`${local} ${address} ${scope}`);
        if (way === undefined) continue;
        // What went wrong may have been mended: only the kernel's look, taken with the way, tells.
        const asked = this.#ask(way.local, way.remote, way.scope);
        if (errno === EMSGSIZE) {
          way.kernelMtu = asked.mtu;
          if (mtu > 0) way.cap = { mtu, until: now + MTU_MS };
        } else way.trouble = { errno, until: now + TROUBLE_MS };
        if (way.take(asked, now)) changed.push(way);
      }
    }
    tellOf(changed);
  }

  close(): void {
    clearImmediate(this.#again);
    this.#round = [];
    this.#ways.clear();
    this.#scopes.clear();
  }

  #slice(): void {
    clearImmediate(this.#again);
    const changed = this.#round
      .splice(0, SLICE)
      .filter((way) => way.followers.size > 0 && way.take(this.#ask(way.local, way.remote, way.scope), this.#now()));
    tellOf(changed);
    if (this.#round.length > 0) this.#again = setImmediate(() => this.#slice());
  }
}

/** Tells each follower once. */
function tellOf(changed: readonly Followed[]): void {
  for (const tell of new Set(changed.flatMap(({ followers }) => [...followers]))) tell();
}

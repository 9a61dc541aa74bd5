/**
 * `weft doctor mtu`: which pairs of local address and remote lose packets that their route says fit. Called by the API on the main thread, with
 * the tunnels' rows; judges, and says what to do. Changes nothing.
 */
import type { TunnelRow } from '../tunnel-rows.ts';
import type { Echo, OpenEcho } from './echo.ts';
import { longestPacket, type PathFinding } from './path.ts';

/**
 * `fine`; `lost`: long packets vanish on the way; `short`: the way takes less than the tunnels need, and says so; `silent`: no echo request
 * is answered, so nothing is known; `unreachable`: there is no way.
 */
export const MTU_VERDICTS = ['fine', 'lost', 'short', 'silent', 'unreachable'] as const;

export interface MtuRow {
  readonly local: string;
  readonly remote: string;
  /** Tunnels that send by this way, as `bridge/name`. */
  readonly tunnels: readonly string[];
  /** Bytes of the longest outer IP packet that one of them sends. */
  readonly needed: number;
  /** Bytes that the route says fit; 0: unknown. */
  readonly route: number;
  /** Bytes of the longest packet that came through; null: none did. */
  readonly passed: number | null;
  readonly verdict: (typeof MTU_VERDICTS)[number];
  /** What is wrong, and what to do; null when nothing is. */
  readonly problem: string | null;
  readonly remedy: string | null;
}

/** A way, and all tunnels that use it. */
export interface Pair {
  readonly local: string;
  readonly remote: string;
  readonly tunnels: readonly TunnelRow[];
  readonly route: number;
}

/** Paths that are asked at the same time: each has one request on its way. */
const AT_ONCE = 32;
/** Where neither tunnel nor route knows: Ethernet's. */
const USUAL_MTU = 1500;
/** Tunnels that a sentence names. */
const NAMED = 3;

/** Pairs in the order of the rows. Groups are left out: their members are asked when they are known. */
export function pairsOf(tunnels: readonly TunnelRow[]): Pair[] {
  const pairs = new Map<string, { local: string; remote: string; tunnels: TunnelRow[]; route: number }>();
  for (const tunnel of tunnels)
    for (const { address: remote, origin, pathMtu } of tunnel.remotes) {
      if (origin === 'group') continue;
      const key = `${tunnel.local} ${remote}`;
      const pair = pairs.get(key) ?? { local: tunnel.local, remote, tunnels: [], route: 0 };
      if (pair.tunnels.at(-1) !== tunnel) pair.tunnels.push(tunnel);
      pair.route = Math.max(pair.route, pathMtu);
      pairs.set(key, pair);
    }
  return [...pairs.values()];
}

/** What may be fragmented needs no more than the route says. */
function neededBy({ mtu, overhead, df }: TunnelRow, route: number): number {
  if (mtu === 0) return 0;
  return df || route === 0 ? mtu + overhead : Math.min(mtu + overhead, route);
}

function neededOf({ tunnels, route }: Pick<Pair, 'tunnels' | 'route'>): number {
  return Math.max(...tunnels.map((tunnel) => neededBy(tunnel, route))) || route || USUAL_MTU;
}

function namesOf(tunnels: readonly TunnelRow[]): string {
  const names = tunnels.slice(0, NAMED).map(({ bridge, name }) => `${bridge}/${name}`);
  const more = tunnels.length - names.length;
  return more > 0 ? `${names.join(', ')} and ${more} more` : names.join(', ');
}

/** Tunnels with the same overhead need the same `mtu:`. */
function mtuRemedy({ tunnels, route }: Pair, needed: number, passed: number): string {
  const wide = tunnels.filter((tunnel) => neededBy(tunnel, route) > passed);
  const overheads = [...new Set(wide.map(({ overhead }) => overhead))];
  const each = overheads.map((overhead) => {
    const of = wide.filter((tunnel) => tunnel.overhead === overhead);
    return `set mtu: ${passed - overhead} on ${namesOf(of)}`;
  });
  return `${each.join(', ')}; or raise the underlay’s MTU to ${needed}`;
}

type Judgement = Pick<MtuRow, 'verdict' | 'problem' | 'remedy'>;

function nothingPassed({ refused }: PathFinding): Judgement {
  if (refused === null)
    return {
      verdict: 'silent',
      problem: 'it does not answer echo requests: can’t be judged',
      remedy: 'let ICMP echo pass its firewall, and ask again',
    };
  const who = refused.by === null ? 'this machine' : refused.by;
  return {
    verdict: 'unreachable',
    problem: `${who} says that there is no way to it (${refused.code})`,
    remedy: 'look at routes and firewalls: `ip route get`, `weft show tunnels`',
  };
}

function judge(pair: Pair, needed: number, asked: number, finding: PathFinding): Judgement {
  const { tunnels, route } = pair;
  const { passed, told } = finding;
  if (passed === null) return nothingPassed(finding);
  const remedy = mtuRemedy(pair, needed, passed);
  if (passed < asked && passed !== told?.mtu)
    return { verdict: 'lost', problem: `packets of more than ${passed} bytes are lost, and nobody says so`, remedy };
  if (passed >= needed) return { verdict: 'fine', problem: null, remedy: null };
  const who =
    passed < asked ? `${told?.by} on the way takes ${passed} bytes, and says so` : `the route takes ${route} bytes`;
  const follows = tunnels.every(({ mtuFixed }) => !mtuFixed);
  return {
    verdict: 'short',
    problem: `${who}: the tunnel needs ${needed} for its MTU`,
    remedy: follows ? `it follows by itself; for longer packets raise the underlay’s MTU to ${needed}` : remedy,
  };
}

async function examine(pair: Pair, echo: Echo, signal: AbortSignal): Promise<MtuRow> {
  const { local, remote, tunnels, route } = pair;
  const needed = neededOf(pair);
  const asked = route === 0 ? needed : Math.min(needed, route);
  const finding = await longestPacket(echo, remote, asked, signal);
  const names = tunnels.map(({ bridge, name }) => `${bridge}/${name}`);
  const judged = judge(pair, needed, asked, finding);
  return { local, remote, tunnels: names, needed, route, passed: finding.passed, ...judged };
}

/** One way that nothing can be sent by from here: no such address, or no permission. */
function refusedRow(pair: Pair, error: Error): MtuRow {
  const { local, remote, tunnels, route } = pair;
  const names = tunnels.map(({ bridge, name }) => `${bridge}/${name}`);
  const isGone = (error as NodeJS.ErrnoException).code === 'EADDRNOTAVAIL';
  return {
    ...{ local, remote, tunnels: names, route, needed: neededOf(pair), passed: null },
    verdict: isGone ? 'unreachable' : 'silent',
    problem: isGone ? `${local} is not an address of this machine` : `can’t be asked: ${error.message}`,
    remedy: isGone ? 'give it to the interface of the underlay' : 'run the daemon with CAP_NET_RAW',
  };
}

/** Sockets by local address; an error where one can't be had. */
class Echoes {
  readonly #open: OpenEcho;
  readonly #made = new Map<string, Echo | Error>();

  constructor(open: OpenEcho) {
    this.#open = open;
  }

  of(local: string): Echo | Error {
    let made = this.#made.get(local);
    if (made === undefined) {
      try {
        made = this.#open(local);
      } catch (error) {
        made = error as Error;
      }
      this.#made.set(local, made);
    }
    return made;
  }

  close(): void {
    for (const made of this.#made.values()) if (!(made instanceof Error)) made.close();
  }
}

/** Asks every pair's path, some at a time, and tells each as soon as it is known. Ends early at the signal. */
export async function examineMtu(
  pairs: readonly Pair[],
  open: OpenEcho,
  onRow: (row: MtuRow) => void,
  signal: AbortSignal,
): Promise<void> {
  const echoes = new Echoes(open);
  const left = pairs.values();
  const one = async (): Promise<void> => {
    for (const pair of left) {
      if (signal.aborted) return;
      const echo = echoes.of(pair.local);
      const row = echo instanceof Error ? refusedRow(pair, echo) : await examine(pair, echo, signal);
      if (!signal.aborted) onRow(row);
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, one));
  } finally {
    echoes.close();
  }
}

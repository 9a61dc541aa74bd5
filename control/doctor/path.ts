/**
 * The longest packet that one path takes, found by echo requests with DF: the wanted length first, then by bisection. Called by mtu.ts;
 * knows neither tunnels nor sockets, so tests run it over paths that they make up.
 */
import type { Echo, EchoOutcome } from './echo.ts';

export interface PathFinding {
  /** Bytes of the longest IP packet that was answered; null: not even a short one. */
  readonly passed: number | null;
  /** The smallest MTU that a router told, and which; null: none did. */
  readonly told: { readonly mtu: number; readonly by: string } | null;
  /** Why our own machine, or a router, says that there is no way; null: nobody does. */
  readonly refused: { readonly code: string; readonly by: string | null } | null;
}

/** What every path of its family takes: 68 bytes of IPv4 (RFC 791, 3.2); far less than the 1,280 of IPv6 (RFC 8200, 5) will do. */
const SHORT_BYTES = 68;
/** One lost request is chance, three are none. */
const TRIES = 3;
const FIRST_WAIT_MS = 1000;
/** Several times a round trip is long enough, and never less than this. */
const WAIT_ROUND_TRIPS = 4;
const WAIT_MIN_MS = 150;

class Search {
  readonly #echo: Echo;
  readonly #remote: string;
  readonly #signal: AbortSignal;
  waitMs = FIRST_WAIT_MS;
  told: PathFinding['told'] = null;
  refused: PathFinding['refused'] = null;

  constructor(echo: Echo, remote: string, signal: AbortSignal) {
    this.#echo = echo;
    this.#remote = remote;
    this.#signal = signal;
  }

  /** Whether a packet of so many bytes comes back, in any of its tries. An error that says too long, or no way, needs no second try. */
  async passes(bytes: number): Promise<boolean> {
    for (let k = 0; k < TRIES && !this.#signal.aborted; k++) {
      const outcome = await this.#echo.ask(this.#remote, bytes, this.waitMs);
      if (outcome.type === 'answered') {
        this.waitMs = Math.min(FIRST_WAIT_MS, Math.max(WAIT_MIN_MS, outcome.ms * WAIT_ROUND_TRIPS));
        return true;
      }
      if (outcome.type === 'refused') {
        this.#note(outcome);
        return false;
      }
    }
    return false;
  }

  #note({ code, mtu, by }: Extract<EchoOutcome, { type: 'refused' }>): void {
    if (code !== 'EMSGSIZE') this.refused = { code, by };
    else if (mtu > 0 && by !== null && mtu < (this.told?.mtu ?? Number.POSITIVE_INFINITY)) this.told = { mtu, by };
  }
}

/** From a length that passes and a longer one that does not: the longest that passes. What a router tells is tried first. */
async function bisect(search: Search, from: number, to: number, signal: AbortSignal): Promise<number> {
  let [passed, lost] = [from, to];
  let tried = 0;
  while (lost - passed > 1 && !signal.aborted) {
    const told = search.told?.mtu ?? 0;
    const hint = told !== tried && told > passed && told < lost ? told : 0;
    tried = told;
    const bytes = hint !== 0 ? hint : Math.floor((passed + lost) / 2);
    if (await search.passes(bytes)) {
      passed = bytes;
      // Nothing longer gets by the router that told it.
      if (bytes === hint) return passed;
    } else lost = bytes;
  }
  return passed;
}

/** Asks a path for packets of `most` bytes, and for shorter ones where those are lost. Ends early, with what it knows, at the signal. */
export async function longestPacket(
  echo: Echo,
  remote: string,
  most: number,
  signal: AbortSignal,
): Promise<PathFinding> {
  const search = new Search(echo, remote, signal);
  const finding = (passed: number | null): PathFinding => ({ passed, told: search.told, refused: search.refused });
  // A short one first: it finds the neighbour's address and the round trip.
  if (!(await search.passes(Math.min(SHORT_BYTES, most)))) return finding(null);
  if (await search.passes(most)) return finding(most);
  return finding(await bisect(search, Math.min(SHORT_BYTES, most), most, signal));
}

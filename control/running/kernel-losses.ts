/**
 * What was lost before the switch could read it: of a TAP what its queue had no room for (its tx_dropped), of other devices what they
 * say. Read per namespace from /proc/net/dev, through the addon, at most twice a second however often somebody asks. Main thread.
 */
import type { Addon } from '../../native/binding.ts';
import { deviceName, type PortState } from './port-book.ts';

const FRESH_MS = 500;
/** Columns behind the name: 8 of receive, then bytes, packets, errs, drop of transmit. */
const TX_DROP_COLUMN = 11;

/** The kernel's tx_dropped by device, from the text of /proc/net/dev. */
export function parseNetDev(text: string): Map<string, number> {
  const drops = new Map<string, number>();
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    if (colon < 0) continue;
    const columns = line
      .slice(colon + 1)
      .trim()
      .split(/\s+/);
    drops.set(line.slice(0, colon).trim(), Number(columns[TX_DROP_COLUMN]));
  }
  return drops;
}

export class KernelLosses {
  readonly #native: Addon;
  readonly #now: () => number;
  readonly #read = new Map<string, { readonly at: number; readonly drops: Map<string, number> }>();

  /** `now` in milliseconds, of any steady clock. */
  constructor(native: Addon, now: () => number = () => performance.now()) {
    this.#native = native;
    this.#now = now;
  }

  #namespace(netns: string | null): Map<string, number> {
    const key = netns ?? '';
    const known = this.#read.get(key);
    if (known !== undefined && this.#now() - known.at < FRESH_MS) return known.drops;
    let drops = new Map<string, number>();
    try {
      drops = parseNetDev(this.#native.deviceCounters(netns === null ? null : `/run/netns/${netns}`));
    } catch {
      // A namespace that is gone has nothing to tell; its ports are down with that reason.
    }
    this.#read.set(key, { at: this.#now(), drops });
    return drops;
  }

  /** Reads anew at the next question. */
  forget(): void {
    this.#read.clear();
  }

  /** The kernel's counter of a port's device now: where its losses start from. */
  base(port: PortState): number {
    return this.#total(port) ?? 0;
  }

  #total(port: PortState): number | undefined {
    const name = deviceName(port);
    return name === null || port.model.kind !== 'tap' ? undefined : this.#namespace(port.model.netns).get(name);
  }

  /** By reason, nonzero ones. */
  of(port: PortState): Record<string, number> {
    if (port.device?.by === 'opener') return { ...port.device.device.missed?.() };
    const total = this.#total(port);
    const lost = total === undefined ? 0 : Math.max(0, total - port.missedBase);
    return lost > 0 ? { 'queue-full': lost } : {};
  }
}

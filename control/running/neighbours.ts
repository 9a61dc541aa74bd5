/**
 * Who has which address behind tunnels with `suppress`: kept from what workers hand up, told to them in the arena, and forgotten when nobody was
 * heard for a while or the tunnel is gone. Made once by open.ts; main thread. Never sends or asks anything.
 */
import { Protocol } from '../../dataplane/memory/layout.ts';
import type { View } from '../../dataplane/memory/view.ts';
import { NEIGHBOURS_MAX } from '../../dataplane/tables/neighbour-layout.ts';
import { formatIpv4Address, formatIpv6Address, formatMac } from '../../dataplane/wire/text.ts';
import { NeighbourTable } from '../compile/neighbour-table.ts';
import { isTunnel } from '../model/model.ts';
import { type Binding, readBinding } from './binding-frames.ts';
import type { PortBook, PortState } from './port-book.ts';
import type { PuntedFrame, Punts } from './punts.ts';

/** How long a binding lasts of which nothing is heard, and how often that is looked at. */
const LASTS_MS = 300_000;
const SWEEP_MS = 15_000;

interface Entry {
  readonly state: PortState;
  readonly bridge: number;
  readonly vlan: number;
  readonly binding: Binding & { readonly isRouter: boolean };
  readonly slot: number;
  /** What the table said when it was looked at last, and when that was news. */
  seen: number;
  seenAt: number;
}

/** An address of a tunnel's host. */
export interface NeighbourRow {
  readonly bridge: string;
  readonly port: string;
  readonly vlan: number;
  readonly address: string;
  readonly mac: string;
}

export class Neighbours {
  readonly #book: PortBook;
  readonly #table: NeighbourTable;
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry>();
  #timer: NodeJS.Timeout | undefined;

  constructor(view: View, book: PortBook, punts: Punts, now = () => performance.now()) {
    this.#book = book;
    this.#table = new NeighbourTable(view);
    this.#now = now;
    punts.hear(Protocol.BINDINGS, (frame) => this.#hear(frame));
  }

  rows(): NeighbourRow[] {
    return [...this.#entries.values()].map(({ state, vlan, binding: { address, mac } }) => ({
      bridge: state.bridge,
      port: state.model.name,
      vlan,
      address: address.length === 4 ? formatIpv4Address(address, 0) : formatIpv6Address(address, 0),
      mac: formatMac(mac, 0),
    }));
  }

  /** Nothing is known of a tunnel's hosts any more. Called when it is flushed: it is down, goes, or carries other VLANs. */
  forget(port: number): void {
    for (const [key, { state }] of this.#entries) if (state.number === port) this.#drop(key);
  }

  /** Forgets what is old, and what tunnels told that are gone or answer no more. */
  sweep(): void {
    const now = this.#now();
    for (const [key, entry] of this.#entries) {
      const seen = this.#table.seen(entry.slot);
      if (seen !== entry.seen) Object.assign(entry, { seen, seenAt: now });
      if (now - entry.seenAt >= LASTS_MS || !this.#isKept(entry)) this.#drop(key);
    }
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #hear({ port, vlan, bytes }: PuntedFrame): void {
    const state = this.#book.byNumber(port);
    const binding = readBinding(bytes);
    if (binding === null || state === undefined || !suppresses(state)) return;
    const bridge = this.#book.bridge(state.bridge).number;
    const key = `${bridge}/${vlan}/${binding.address.join('.')}`;
    const known = this.#entries.get(key);
    if (binding.isRouter === null) {
      // Its own advertisement will tell the rest.
      if (known !== undefined && !isAlike(known.binding.mac, binding.mac)) this.#drop(key);
      return;
    }
    this.#put(key, { state, bridge, vlan, binding: { ...binding, isRouter: binding.isRouter } }, known);
  }

  #put(key: string, told: Pick<Entry, 'state' | 'bridge' | 'vlan' | 'binding'>, known: Entry | undefined): void {
    if (known === undefined && this.#entries.size >= NEIGHBOURS_MAX) this.#makeRoom();
    const slot = this.#table.write({ ...told, ...told.binding }, known?.slot);
    if (slot < 0) return;
    this.#entries.set(key, { ...told, slot, seen: 0, seenAt: this.#now() });
    this.#timer ??= setInterval(() => this.sweep(), SWEEP_MS).unref();
  }

  /** The oldest of the tunnel that has most: one that tells of too many loses its own. */
  #makeRoom(): void {
    const counts = new Map<number, number>();
    for (const { state } of this.#entries.values()) counts.set(state.number, (counts.get(state.number) ?? 0) + 1);
    const most = [...counts].reduce((a, b) => (b[1] > a[1] ? b : a))[0];
    let oldest: [string, Entry] | undefined;
    for (const one of this.#entries)
      if (one[1].state.number === most && (oldest === undefined || one[1].seenAt < oldest[1].seenAt)) oldest = one;
    if (oldest !== undefined) this.#drop(oldest[0]);
  }

  #isKept({ state, bridge }: Entry): boolean {
    if (this.#book.byNumber(state.number) !== state || !suppresses(state)) return false;
    return this.#book.bridge(state.bridge).number === bridge;
  }

  #drop(key: string): void {
    this.#table.remove(this.#entries.get(key)!.slot);
    this.#entries.delete(key);
    if (this.#entries.size === 0) this.close();
  }
}

function suppresses({ model, leaving }: PortState): boolean {
  return isTunnel(model) && model.settings.suppress && !leaving;
}

function isAlike(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((octet, k) => octet === b[k]);
}

/**
 * Tells others what a bond did: switches upstream by RARP where our hosts' addresses are now, hosts by gratuitous ARP and neighbour
 * advertisements where our own are, and people by an event. Called by running bonds; main thread.
 */

import { isIPv4 } from 'node:net';
import { Way } from '../../dataplane/memory/layout.ts';
import type { View } from '../../dataplane/memory/view.ts';
import { sourceBucket } from '../../dataplane/tables/bond-layout.ts';
import { Form } from '../../dataplane/tables/flood-layout.ts';
import { type FrameTag, gratuitousArp, rarpRequest, unsolicitedNa } from '../bonding/announcements.ts';
import type { Bond } from '../bonding/bond.ts';
import { formOf } from '../compile/flood-pool.ts';
import type { BondSettings } from '../model/bond.ts';
import { macKeys } from '../model/mac.ts';
import { carriedVlans } from '../model/vlan.ts';
import { hasVlan } from '../model/vlan-set.ts';
import type { SwitchEvent } from '../switch.ts';
import { readFdb } from './fdb-reader.ts';
import type { Injector } from './injector.ts';
import type { PortBook, PortState } from './port-book.ts';

/** Addresses that one change tells at the most: the rest teach themselves with their next frame. */
const TOLD_MAX = 16_384;

export interface NewsParts {
  readonly view: View;
  readonly book: PortBook;
  readonly injector: Injector;
  emit(event: SwitchEvent): void;
}

/** An address of this machine in a VLAN. */
interface OwnAddress {
  readonly mac: string;
  readonly address: string;
  readonly vlan: number;
}

export class BondNews {
  readonly #parts: NewsParts;

  constructor(parts: NewsParts) {
    this.#parts = parts;
  }

  /** Sends, out of the bond, a frame for each address behind it whose bucket is one of these; null: for all. */
  tell(bond: PortState, settings: BondSettings, buckets: ReadonlySet<number> | null): void {
    const carried = carriedVlans(bond.model.vlan);
    const moved = (mac: string, vlan: number): boolean => {
      if (!hasVlan(carried, vlan)) return false;
      const { key0, low } = macKeys(mac);
      return buckets === null || buckets.has(sourceBucket(settings.seed, key0, low, vlan));
    };
    const send = (frame: Uint8Array, vlan: number) => this.#parts.injector.inject(bond.number, Way.OUT, frame, vlan);
    for (const { mac, address, vlan } of this.#ownAddresses(bond, settings)) {
      // In balance-alb peers were told a member's address for ours, which may be the one that was lost.
      if (settings.mode === 'balance-alb' ? !hasVlan(carried, vlan) : !moved(mac, vlan)) continue;
      const tag = tagOf(bond, vlan);
      send(isIPv4(address) ? gratuitousArp(mac, address, tag) : unsolicitedNa(mac, address, tag), vlan);
    }
    const { number } = this.#parts.book.bridge(bond.bridge);
    const now = Number(process.hrtime.bigint() / 1_000_000_000n);
    let told = 0;
    for (const { bridge, port, mac, vlan } of readFdb(this.#parts.view, now)) {
      if (bridge !== number || port === bond.number || !moved(mac, vlan)) continue;
      if (++told > TOLD_MAX || !send(rarpRequest(mac, tagOf(bond, vlan)), vlan)) return;
    }
  }

  changed(bond: PortState, machine: Bond, reason: string): void {
    const { active, carrying } = machine.steering;
    const event = {
      type: 'bond-changed',
      time: new Date().toISOString(),
      bridge: bond.bridge,
      port: bond.model.name,
    } as const;
    this.#parts.emit({ ...event, active, carrying: [...carrying], reason });
  }

  /** The bond's, and those that weft gave to TAPs of the same bridge. */
  #ownAddresses(bond: PortState, settings: BondSettings): OwnAddress[] {
    const vlan = settings.monitor?.vlan || (bond.model.vlan.tag ?? 0);
    const own = settings.sources.map((address) => ({ mac: settings.mac, address, vlan }));
    const taps = this.#parts.book
      .portsOf(bond.bridge)
      .flatMap(({ model }) =>
        model.kind === 'tap'
          ? model.addresses.map((text) => ({ mac: model.mac, address: text.split('/')[0]!, vlan: model.vlan.tag ?? 0 }))
          : [],
      );
    return [...own, ...taps];
  }
}

/** How a frame of this VLAN leaves the bond. */
function tagOf({ model }: PortState, vlan: number): FrameTag {
  return formOf(model.vlan, vlan) === Form.TAGGED ? { vid: vlan } : null;
}

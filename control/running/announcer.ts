/**
 * Tells a bridge that an address is at a port now: a guest that was moved here and can't say so itself. A RARP request from that address
 * comes in as if the port had received it, so that it is learned and flooded in the port's own VLAN. Main thread.
 */
import { Way } from '../../dataplane/memory/layout.ts';
import { rarpRequest } from '../bonding/announcements.ts';
import { normalMac } from '../model/mac.ts';
import type { Injector } from './injector.ts';
import type { PortBook } from './port-book.ts';

export class Announcer {
  readonly #book: PortBook;
  readonly #injector: Injector;

  constructor(book: PortBook, injector: Injector) {
    this.#book = book;
    this.#injector = injector;
  }

  /** Does nothing for a port that is gone or an address that is none: the guest's first frame tells as well. */
  announce(bridge: string, port: string, mac: string): void {
    const state = this.#book.find(bridge, port);
    const normal = normalMac(mac);
    if (state !== null && normal !== null) this.#injector.inject(state.number, Way.IN, rarpRequest(normal));
  }
}

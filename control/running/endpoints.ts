/**
 * Endpoints: the sockets that receive for a local address and UDP port, shared by all tunnels of that kind there. Each has a port number of
 * its own, is in no bridge, and is served by every worker. Opened with the first tunnel and closed with the last; what can't be opened now is
 * tried again. Made by tunnels.ts; main thread.
 */
import { getSystemErrorName } from 'node:util';
import { Header } from '../../dataplane/memory/layout.ts';
import type { View } from '../../dataplane/memory/view.ts';
import type { Attachment } from '../../dataplane/orders.ts';
import { ENDPOINT, ENDPOINT_KIND_SHIFT, EndpointKind } from '../../dataplane/tables/tunnel-layout.ts';
import type { Addon, ReceiverCounts, TunnelKind } from '../../native/binding.ts';
import type { Log } from '../log.ts';
import { EAGAIN_RESULT, type WorkerPool } from '../workers/pool.ts';
import type { Counters } from './counters.ts';
import type { PortBook } from './port-book.ts';
import { openFailure } from './tunnel-failure.ts';

export type EndpointNative = Pick<
  Addon,
  'openTunnelReceiver' | 'joinTunnelGroup' | 'leaveTunnelGroup' | 'tunnelReceiverCounts' | 'closeDevice'
>;

export interface EndpointParts {
  readonly view: View;
  readonly native: EndpointNative;
  readonly book: Pick<PortBook, 'takeNumber' | 'giveNumber'>;
  readonly counters: Pick<Counters, 'clear'>;
  readonly log: Log;
  pool(): Pick<WorkerPool, 'count' | 'order'>;
  /** Takes a port number off every worker (foundation.ts). */
  release(number: number): Promise<void>;
  /** Who has a UDP port (port-owner.ts). */
  ownerOfPort(local: string, port: number): Promise<string | null>;
}

const KINDS: Readonly<Record<TunnelKind, number>> = {
  vxlan: EndpointKind.VXLAN,
  geneve: EndpointKind.GENEVE,
  gre: EndpointKind.GRE,
};
const NOTHING: ReceiverCounts = { datagrams: 0, messages: 0, merged: 0, missed: 0 };
/** Looking for who has a port reads all of /proc. */
const OWNER_MS = 30_000;

interface Membership {
  readonly group: string;
  readonly device: number;
  users: number;
  /** Why it could not be joined; null: it is, or will be when the endpoint is open. */
  reason: string | null;
}

export class Endpoint {
  readonly kind: TunnelKind;
  readonly local: string;
  readonly port: number;
  /** Its port number. */
  readonly number: number;
  /** What workers serve, and a worker that starts must serve; null: nothing. */
  handle: number | null = null;
  /** Why it is not open. */
  reason: string | null = null;
  readonly users = new Set<() => void>();
  /** Groups that were joined, or will be when it is open: how many tunnels want each. */
  readonly groups = new Map<string, Membership>();
  /** Its opening or closing, one after the other. */
  chain: Promise<unknown> = Promise.resolve();
  askedAt = Number.NEGATIVE_INFINITY;

  constructor(kind: TunnelKind, local: string, port: number, number: number) {
    this.kind = kind;
    this.local = local;
    this.port = port;
    this.number = number;
  }

  /** Why a group that was asked for is not joined; null: it is, or the endpoint is not open. */
  groupReason(group: string, device: number): string | null {
    return this.groups.get(`${group} ${device}`)?.reason ?? null;
  }

  /** As among drops and in what is shown. */
  get name(): string {
    if (this.kind === 'gre') return `gre ${this.local}`;
    return `${this.kind} ${this.local.includes(':') ? `[${this.local}]` : this.local}:${this.port}`;
  }
}

export class Endpoints {
  readonly #parts: EndpointParts;
  readonly #open = new Map<string, Endpoint>();
  /** Ends of those that are being closed: their port is not free before. */
  readonly #closing = new Map<string, Promise<void>>();

  constructor(parts: EndpointParts) {
    this.#parts = parts;
  }

  /** The endpoint of these, opened if it can be now. `changed` is called when it opens, or ceases to work, later. */
  async acquire(kind: TunnelKind, local: string, port: number, changed: () => void): Promise<Endpoint> {
    const key = keyOf({ kind, local, port });
    await this.#closing.get(key);
    let endpoint = this.#open.get(key);
    if (endpoint === undefined) {
      endpoint = this.#make(kind, local, port);
      this.#open.set(key, endpoint);
      void this.#next(endpoint, () => this.#try(endpoint!));
    }
    endpoint.users.add(changed);
    await endpoint.chain;
    return endpoint;
  }

  /** Resolves when nothing of it is left, where this was its last user. */
  async release(endpoint: Endpoint, changed: () => void): Promise<void> {
    if (!endpoint.users.delete(changed) || endpoint.users.size > 0) return;
    const key = keyOf(endpoint);
    this.#open.delete(key);
    const closing = this.#next(endpoint, () => this.#close(endpoint)).finally(() => this.#closing.delete(key));
    this.#closing.set(key, closing);
    await closing;
  }

  /** Receives what is sent to a group, too, by the interface with this index; at once, or when it is open. */
  join(endpoint: Endpoint, group: string, device: number): void {
    const key = `${group} ${device}`;
    const known = endpoint.groups.get(key);
    if (known !== undefined) {
      known.users++;
      return;
    }
    const membership = { group, device, users: 1, reason: null };
    endpoint.groups.set(key, membership);
    if (endpoint.handle !== null) this.#join(endpoint, endpoint.handle, membership);
  }

  leave(endpoint: Endpoint, group: string, device: number): void {
    const key = `${group} ${device}`;
    const known = endpoint.groups.get(key);
    if (known === undefined || --known.users > 0) return;
    endpoint.groups.delete(key);
    if (endpoint.handle === null || known.reason !== null) return;
    try {
      this.#parts.native.leaveTunnelGroup(endpoint.handle, group, device);
    } catch (error) {
      // The interface may be gone, and the membership with it.
      this.#parts.log.debug({ group, reason: (error as Error).message }, 'a group could not be left');
    }
  }

  /** Tries those again that could not be opened, and groups that could not be joined. */
  retry(): void {
    for (const endpoint of this.#open.values()) {
      const { handle } = endpoint;
      if (handle !== null)
        for (const one of endpoint.groups.values()) if (one.reason !== null) this.#join(endpoint, handle, one);
      if (handle !== null || endpoint.users.size === 0) continue;
      void this.#next(endpoint, async () => {
        if (endpoint.handle !== null || endpoint.users.size === 0) return;
        const before = endpoint.reason;
        await this.#try(endpoint);
        if (endpoint.reason !== before) for (const changed of [...endpoint.users]) changed();
      });
    }
  }

  /** What a worker that starts must serve of them. */
  attachments(worker: number): Attachment[] {
    return this.all().flatMap(({ number, handle }) =>
      handle === null ? [] : [{ kind: 'device', port: number, handle, queue: worker } as const],
    );
  }

  all(): Endpoint[] {
    return [...this.#open.values()];
  }

  counts({ handle }: Endpoint): ReceiverCounts {
    return handle === null ? NOTHING : this.#parts.native.tunnelReceiverCounts(handle);
  }

  #make(kind: TunnelKind, local: string, port: number): Endpoint {
    const { book, counters } = this.#parts;
    const number = book.takeNumber();
    counters.clear(number);
    this.#mark(number, ENDPOINT | (KINDS[kind] << ENDPOINT_KIND_SHIFT));
    return new Endpoint(kind, local, port, number);
  }

  /** Its word among the members: what workers receive under this number they look at as datagrams. */
  #mark(number: number, word: number): void {
    const { view } = this.#parts;
    Atomics.store(view.i32, (view.layout.words[Header.MEMBERS_AT]! >> 2) + number, word);
  }

  #next(endpoint: Endpoint, step: () => Promise<void>): Promise<void> {
    const next = endpoint.chain.then(step);
    endpoint.chain = next.catch(() => {});
    return next;
  }

  async #try(endpoint: Endpoint): Promise<void> {
    const { kind, local, port } = endpoint;
    const { native } = this.#parts;
    const workers = this.#parts.pool().count;
    let handle: number;
    try {
      handle = native.openTunnelReceiver({ kind, local, port, workers });
    } catch (error) {
      endpoint.reason = await this.#why(endpoint, error);
      return;
    }
    for (const membership of endpoint.groups.values()) this.#join(endpoint, handle, membership);
    endpoint.handle = handle;
    const error = await this.#attach(endpoint, handle);
    endpoint.reason = error === 0 ? null : `its sockets can't be served: ${getSystemErrorName(error)}`;
    if (error !== 0) await this.#shut(endpoint);
  }

  async #why(endpoint: Endpoint, error: unknown): Promise<string> {
    const { kind, local, port } = endpoint;
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || kind === 'gre') return openFailure(error, endpoint);
    if (endpoint.reason !== null && performance.now() - endpoint.askedAt < OWNER_MS) return endpoint.reason;
    endpoint.askedAt = performance.now();
    const owner = await this.#parts.ownerOfPort(local, port);
    return `${owner ?? 'somebody else'} has UDP port ${port} of ${local}`;
  }

  #join(endpoint: Endpoint, handle: number, membership: Membership): void {
    const { group, device, reason: before } = membership;
    try {
      this.#parts.native.joinTunnelGroup(handle, group, device);
      membership.reason = null;
    } catch (error) {
      const reason = (error as Error).message;
      membership.reason = reason;
      if (reason !== before)
        this.#parts.log.error({ endpoint: endpoint.name, group, reason }, 'a group could not be joined');
    }
  }

  /** 0, or −errno of the first worker that can't; one that died over it takes it up when it starts again. */
  async #attach({ number }: Endpoint, handle: number): Promise<number> {
    const pool = this.#parts.pool();
    const orders = Array.from({ length: pool.count }, (_, queue) =>
      pool.order(queue, { type: 'attach', attachment: { kind: 'device', port: number, handle, queue } }),
    );
    return (await Promise.all(orders)).find((result) => result < 0 && result !== EAGAIN_RESULT) ?? 0;
  }

  /** First nobody takes it up any more, then nobody serves it, then it is closed. */
  async #shut(endpoint: Endpoint): Promise<void> {
    const { handle, number } = endpoint;
    if (handle === null) return;
    endpoint.handle = null;
    await this.#parts.release(number);
    this.#parts.native.closeDevice(handle);
  }

  async #close(endpoint: Endpoint): Promise<void> {
    await this.#shut(endpoint);
    this.#mark(endpoint.number, 0);
    this.#parts.book.giveNumber(endpoint.number);
  }
}

function keyOf({ kind, local, port }: Pick<Endpoint, 'kind' | 'local' | 'port'>): string {
  return `${kind} ${local} ${port}`;
}

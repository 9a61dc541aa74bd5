/**
 * What control tells a worker and what the worker answers: the messages of the one port between them. Control posts and kicks the
 * worker's eventfd; the worker reads them between two turns with receiveMessageOnPort. Cold: a message a change, none a frame.
 */
import type { CaptureFilter } from './ports/wrap/capture.ts';

/** What makes a thread worker `index`. Sent once, before anything else. */
export interface Assignment {
  readonly index: number;
  readonly cpu: number | null;
  readonly io: 'auto' | 'io_uring' | 'read-write';
  /** A number of Idle (idle.ts). */
  readonly idle: number;
  /** Queues to serve from the first turn on: a restarted worker takes over what the dead one had. */
  readonly attachments: readonly Attachment[];
  readonly captures: readonly CaptureOrder[];
}

export type Attachment =
  /** A handle of the addon: a TAP, a guest, an interface. */
  | { readonly kind: 'device'; readonly port: number; readonly handle: number; readonly queue: number }
  | { readonly kind: 'null'; readonly port: number }
  | { readonly kind: 'memory'; readonly port: number }
  | { readonly kind: 'pcap'; readonly port: number; readonly read: string | null; readonly write: string | null };

export interface CaptureOrder {
  readonly capture: number;
  /** A port's number; of a bond those of its members. */
  readonly ports: readonly number[];
  readonly filter: CaptureFilter;
}

export interface StaticEntry {
  readonly key0: number;
  readonly key1: number;
  readonly bits: number;
  readonly bridge: number;
  /** A destination: a port, or a tunnel's remote. */
  readonly port: number;
  /** STATIC, STICKY or 0 of tables/fdb-layout.ts. */
  readonly type: number;
}

export type Order =
  | { readonly type: 'attach'; readonly id: number; readonly attachment: Attachment }
  | { readonly type: 'detach'; readonly id: number; readonly port: number }
  /** Answered when two turns have begun after it: nothing that was listed before is waiting any more. */
  | { readonly type: 'sync'; readonly id: number }
  | { readonly type: 'fdb-add'; readonly id: number; readonly entry: StaticEntry }
  | { readonly type: 'fdb-delete'; readonly id: number; readonly entry: StaticEntry }
  | { readonly type: 'capture-start'; readonly id: number; readonly order: CaptureOrder }
  | { readonly type: 'capture-stop'; readonly id: number; readonly capture: number }
  | { readonly type: 'idle'; readonly id: number; readonly idle: number }
  /** Breaks this worker on purpose: how tests see that another takes over. */
  | { readonly type: 'crash'; readonly id: number }
  | { readonly type: 'stop'; readonly id: number };

export type Answer =
  | { readonly type: 'standing-by' }
  | {
      readonly type: 'running';
      readonly io: number;
      /** errno of what kept it from io_uring though it was allowed to use it, or 0. */
      readonly ringError: number;
      readonly failed: readonly { readonly port: number; readonly error: number }[];
    }
  /** `result`: 0 or a count; below zero it is −errno. */
  | { readonly type: 'done'; readonly id: number; readonly result: number }
  /** A datagram came to this tunnel from an address (four words, as they lie in a packet) that is none of its remotes'. The last of `count`. */
  | { readonly type: 'stranger'; readonly port: number; readonly address: readonly number[]; readonly count: number }
  /** Frames wait in its ring of punts. */
  | { readonly type: 'punted' }
  | {
      readonly type: 'moved';
      readonly key0: number;
      readonly key1: number;
      readonly bridge: number;
      /** Destinations. */
      readonly from: number;
      readonly to: number;
      /** Moves since the last such message, this one included. */
      readonly moves: number;
    };

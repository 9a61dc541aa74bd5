/**
 * What the running switch knows of a port's device, whatever its kind: an interface that exists already, a guest, a socket. Each kind has
 * an opener; the executor opens and closes, and hands every worker what it serves. Main thread. TAPs that weft owns are older than this
 * contract and have their own (tap-device.ts), since a thousand of them are made as a group.
 */
import type { TableTunnel } from '../compile/table-port.ts';
import type { PortModel } from '../model/model.ts';

/** A device as its port sees it. What it answers may change at any time; it then says so through its host. */
export interface PortDevice {
  /**
   * The addon's handle of what workers attach to; null while there is nothing to attach to. Workers follow a changed handle some time
   * after `changed()`, so one that is to be closed, or whose memory goes, is changed inside `aside`.
   */
  readonly handle: number | null;
  /** Bits of Takes (tables/port-layout.ts): what frames may leave unfinished. */
  readonly takes: number;
  readonly up: boolean;
  /** Why it is down, as a sentence without a full stop; null while it is up. */
  readonly reason: string | null;
  /** Lines for `weft port show NAME`: what is known of the other side, as name and value. */
  details(): Readonly<Record<string, string>>;
  /** Frames lost before the switch could read them, since it was opened: by reason, nonzero ones. */
  missed?(): Readonly<Record<string, number>>;
  /** How often somebody connected, and was refused, since it was opened; only where somebody connects. */
  readonly tallies?: Readonly<{ connections: number; refusedClients: number; refusedMessages: number }>;
  /** What a bond asks of its member's device: bits per second where known, and its own address. */
  readonly link?: { readonly speed: number | null; readonly mac: string | null };
  /** Number of its record among the bonds; only a bond has one. */
  readonly bond?: number;
  /** What a tunnel's device adds to its port in the tables. Changing it is `changed()`. */
  readonly tunnel?: TableTunnel;
  /** The document changed what changes while it runs. */
  configure?(model: PortModel): void;
  /** Lets go of everything. No worker serves it any more when this is called; it says nothing to its host afterwards. */
  close(): Promise<void>;
}

/** What a device may ask of the switch. Every promise also settles while the port is being deleted. */
export interface PortHost {
  readonly bridge: string;
  readonly port: string;
  readonly workers: number;
  /**
   * `up`, `reason`, `takes` or `handle` changed: tables and workers follow soon, after any change of the document that is under way, and
   * an event tells of up and down. Several calls before that are one. May be called at any time, also inside `aside` and before `open`
   * has answered.
   */
  changed(): void;
  /**
   * Takes the port off all workers, waits until none of them touches its memory or descriptors any more (two turns), runs `change`, and
   * attaches what `handle` then names. Calls for one port run one after the other, whatever else the switch is doing; so `change` must
   * not call `aside` itself. Rejects with what `change` threw; the port is attached again in that case as well.
   */
  aside<T>(change: () => T | Promise<T>): Promise<T>;
}

/**
 * Makes the devices of one kind. `open` rejects with a DeviceError when the machine refuses; then nothing is left behind. It answers
 * before long: a guest that isn't there yet is a device that is down, not one to wait for.
 */
export interface PortOpener<M extends PortModel = PortModel> {
  open(model: M, host: PortHost): Promise<PortDevice>;
}

/**
 * What a scrape reads of a running switch: flat samples, filled from the arena's counters by running/metrics-source.ts.
 * Called once per scrape on the main thread. Cheap on purpose: no sums over other samples, no text beyond names.
 */

import type { BondMemberRow, BondRow } from '../switch.ts';
import type { TunnelEndpointRow, TunnelRow, TunnelSenderRow } from '../tunnel-rows.ts';

export interface PortSample {
  readonly bridge: string;
  readonly port: string;
  /** As the document writes it: tap, vhost-user … */
  readonly kind: string;
  readonly up: boolean;
  /** Bits per second, null where unknown. */
  readonly speed: number | null;
  readonly receiveFrames: number;
  readonly receiveBytes: number;
  readonly receiveSegments: number;
  readonly transmitFrames: number;
  readonly transmitBytes: number;
  readonly transmitSegments: number;
  /** Frames from this port that were flooded. */
  readonly floodFrames: number;
  /** Addresses that moved to this port from another. */
  readonly fdbMoves: number;
  /** Frames whose source was not learned because a limit was reached. */
  readonly learnLimited: number;
  /**
   * Frames received from this port by the time they stayed, each in one bucket: entry k counts those of less than 2^k µs that
   * no earlier entry counts, the last entry all that stayed longer. Every port's has the same length.
   */
  readonly residence: ArrayLike<number>;
  /** Seconds, of all frames in `residence`. */
  readonly residenceSum: number;
  /** Of a port to which guests connect, since it was made; null for the others. */
  readonly guests: GuestSample | null;
}

export interface GuestSample {
  readonly connections: number;
  /** Turned away, because somebody was connected already. */
  readonly refusedClients: number;
  readonly refusedMessages: number;
}

/** Frames lost at a port for one reason; `reason` is a name of drop.ts, or the kernel's own for missed frames. */
export interface LossSample {
  readonly bridge: string;
  readonly port: string;
  readonly reason: string;
  readonly frames: number;
}

export interface BondMemberSample extends BondMemberRow {
  /** It sends. */
  readonly carrying: boolean;
  /** Frames that it received for control: LACP, answers to probes. */
  readonly punted: number;
  /** Frames that control sent by it. */
  readonly injected: number;
}

export interface BondSample extends Omit<BondRow, 'members'> {
  readonly members: readonly BondMemberSample[];
}

export interface BridgeSample {
  readonly bridge: string;
  readonly fdbEntries: number;
  /** How many it may hold: its fdb-limit. */
  readonly fdbLimit: number;
}

export interface WorkerSample {
  readonly worker: number;
  readonly turns: number;
  /** Seconds of turns that moved a frame. */
  readonly busySeconds: number;
  /** How often its thread died and another took its place. */
  readonly restarts: number;
  /** Estimated, sampled. */
  readonly activeFlows: number;
  /** Entries of the forwarding database that it met half-written; each was a miss. */
  readonly tornReads: number;
}

export interface MetricsSource {
  /** Bonds are among them, their members are not. */
  ports(): readonly PortSample[];
  bonds(): readonly BondSample[];
  tunnels(): readonly TunnelRow[];
  /** Each once, however many tunnels use it. */
  tunnelEndpoints(): readonly TunnelEndpointRow[];
  tunnelSenders(): readonly TunnelSenderRow[];
  bridges(): readonly BridgeSample[];
  /** Addresses forgotten before their time to make room for others, in all bridges. */
  evictions(): number;
  workers(): readonly WorkerSample[];
  /** Frames lost in the switch; a bond's member is the port `bond/member`, a tunnels' endpoint is one of no bridge. Zero entries may be among them; the text leaves them out. */
  drops(): readonly LossSample[];
  /** Frames lost before the switch could read them. */
  missed(): readonly LossSample[];
}

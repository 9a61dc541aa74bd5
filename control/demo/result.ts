/**
 * What a demo finds out, as plain data: printed for people by print.ts, as it is with `--json`. Filled by steps.ts (devices),
 * memory.ts and guests/show.ts. Names and units are stable.
 */

/** Something that has to be so; `detail` says what was seen. */
export interface Expectation {
  readonly what: string;
  readonly held: boolean;
  readonly detail: string;
}

export interface DemoPort {
  readonly name: string;
  readonly vlan: string;
  readonly receive: { readonly frames: number; readonly bytes: number };
  readonly transmit: { readonly frames: number; readonly bytes: number };
  /** Frames by reason. */
  readonly dropped: Readonly<Record<string, number>>;
}

export interface DemoDrop {
  readonly port: string;
  readonly reason: string;
  readonly meaning: string;
  readonly frames: number;
}

export interface Throughput {
  readonly from: string;
  readonly to: string;
  /** What moved the bytes: `iperf3`, `node`, `memory` ports, or between guests `wget`. */
  readonly tool: string;
  readonly seconds: number;
  readonly bitsPerSecond: number;
  /** Only where frames were counted and not a stream's bytes. */
  readonly framesPerSecond: number | null;
}

export interface Kept {
  readonly socket: string;
  readonly folder: string;
  readonly pid: number;
  readonly namespaces: readonly string[];
}

export type DemoMode = 'devices' | 'memory' | 'guests';

export interface DemoMetrics {
  readonly url: string;
  readonly sample: readonly string[];
}

export interface DemoResult {
  /** Every expectation held. */
  readonly ok: boolean;
  readonly mode: DemoMode;
  readonly expectations: readonly Expectation[];
  readonly ports: readonly DemoPort[];
  readonly drops: readonly DemoDrop[];
  readonly throughput: Throughput | null;
  readonly roundTrip: { readonly from: string; readonly to: string; readonly milliseconds: number } | null;
  readonly metrics: DemoMetrics | null;
  readonly kept: Kept | null;
  readonly seconds: number;
}

export type Findings = Omit<DemoResult, 'ok' | 'mode' | 'kept' | 'seconds'>;

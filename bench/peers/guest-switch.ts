// What the guests' bench wants from a switch: say whether it can run here, join guests that listen at sockets, go away. One file per switch
// implements it. The forwarding thread of every one of them runs on CPU 1; its other threads where it puts them itself.
import type { Workplace } from '../system/site.ts';

/** CPU of the switch's forwarding thread; the guests are on CPU 0. */
export const SWITCH_CPU = 1;

/** What a switch has done since it started, where it tells. */
export interface Work {
  /** Seconds of the rounds that moved a frame. */
  readonly busySeconds: number;
  readonly frames: number;
  readonly dropped: number;
}

export interface JoinedGuests {
  readonly pid: number;
  /** Absent where the switch doesn't tell. */
  work?(): Promise<Work>;
  /** Ends the switch. Calling it is optional: the workplace's cleanup does it too. */
  stop(): Promise<void>;
}

export interface GuestSwitch {
  readonly name: string;
  /** One sentence for --help and the report. */
  readonly about: string;
  /** 2 MiB huge pages that it can't do without. */
  readonly hugePages: number;
  /** The largest frame that it is set up for here, in bytes without FCS. */
  readonly frameBytesMax: number;
  /** Why this switch can't be measured here, or null when it can. */
  available(): Promise<string | null>;
  /**
   * Starts it between guests at `sockets`, set up for frames of `frameBytes`. Only the first listens yet, each other one as soon as the
   * one before is connected; that may happen after this has answered.
   */
  join(place: Workplace, sockets: readonly string[], frameBytes: number): Promise<JoinedGuests>;
}

/** The MTU of a port that carries frames of this size, without a tag: Ethernet's own as far as that goes. */
export function mtuFor(frameBytes: number): number {
  if (frameBytes <= 1514) return 1500;
  return frameBytes <= 1518 ? 1504 : 9000;
}

// Numbered 60-byte frames between the two hosts at rates that Python can't keep: numbered.c, compiled by the bench, and what it printed.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { projectRoot } from '../root.ts';
import type { Hosts } from './hosts.ts';
import { Daemon, missingCommand, run } from './process.ts';
import type { Site } from './site.ts';
import { lastJson } from './tools.ts';

export const SLICE_MS = 10;

interface Sent {
  /** Handed to the sender's device and taken by it. */
  readonly sent: number;
  /** Not taken, since its queue was full: the switch did not empty it in time. */
  readonly refused: number;
  readonly seconds: number;
  readonly pauseMs: number;
}

interface Received {
  readonly received: number;
  readonly disorder: number;
  /** Frames that the receiver's own socket lost. */
  readonly missed: number;
  /** Arrival of the first one, by the wall clock. */
  readonly beginMs: number;
  /** Longest time without service, for each 10 ms of arrival. */
  readonly withoutMs: readonly number[];
  /** The same, but only where frames were lost; 0 where none was. */
  readonly missingMs: readonly number[];
}

export interface NumberedReport extends Sent, Received {
  readonly lost: number;
}

export interface RunningNumbers {
  /** Resolves when the sender has ended by itself and what was on its way has arrived. */
  report(): Promise<NumberedReport>;
}

/** A reason when it can't be compiled here, else null. */
export function numberedMissing(): string | null {
  return missingCommand(['gcc'], 'gcc');
}

export interface Outage {
  /** The longest time without service. Infinity when nothing arrived. */
  readonly anyMs: number;
  /** The longest in which frames were lost: a pause of the machine, in which they waited, is none. Infinity when nothing arrived. */
  readonly lossMs: number;
}

/** What arrived from `fromMs` (wall clock) on, within `forMs`. */
export function outageAfter(report: Received, fromMs: number, forMs: number): Outage {
  const first = Math.floor((fromMs - report.beginMs) / SLICE_MS);
  const longest = (slices: readonly number[]) =>
    Math.max(0, ...slices.slice(Math.max(0, first), first + Math.ceil(forMs / SLICE_MS) + 1));
  const anyMs = longest(report.withoutMs);
  if (anyMs === 0) return { anyMs: Number.POSITIVE_INFINITY, lossMs: Number.POSITIVE_INFINITY };
  return { anyMs, lossMs: longest(report.missingMs) };
}

/** Starts `rate` frames a second from the first host to the second, for `seconds`. */
export async function startNumbers(site: Site, hosts: Hosts, rate: number, seconds: number): Promise<RunningNumbers> {
  const program = join(site.folder, 'numbered');
  await run(['gcc', '-O2', '-o', program, join(projectRoot(), 'bench/system/numbered.c')]);
  const [from, to] = hosts;
  const receiver = new Daemon([program, 'receive', to.device], site.cleanup, { namespace: to.namespace });
  await receiver.until(/listening/, 10);
  const command = [program, 'send', from.device, to.mac, String(rate), String(seconds)];
  const sender = new Daemon(command, site.cleanup, { namespace: from.namespace });
  return {
    report: async () => {
      const sent = lastJson<Sent>(await sender.finished(seconds + 30));
      await sleep(500);
      await receiver.stop();
      const received = lastJson<Received>(receiver.output);
      if (received.received === 0) throw new Error('no frame arrived');
      const lost = sent.sent - received.received - received.missed;
      return { ...sent, ...received, lost };
    },
  };
}

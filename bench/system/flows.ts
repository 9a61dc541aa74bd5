// Numbered UDP flows between the two hosts: exact loss and the longest outage per flow. Sender and receiver are traffic.py.
// Sequence numbers and not device counters, because a port that comes and goes may flood a frame that nobody here sent.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from './hosts.ts';
import { readCounter } from './hosts.ts';
import { Daemon } from './process.ts';
import type { Site } from './site.ts';
import { lastJson, type ReceiveReport, type SendReport, trafficCommand } from './tools.ts';

export interface FlowResult {
  readonly sent: number;
  readonly lost: number;
  readonly outageMs: number;
}

export interface FlowsReport {
  readonly flows: readonly FlowResult[];
  readonly sent: number;
  readonly lost: number;
  readonly disorder: number;
  /** Frames that the sender's device dropped because the switch did not fetch them in time. */
  readonly droppedAtDevice: number;
  /** The sender's own longest pause; a long one says that the machine was busy. */
  readonly senderPauseMs: number;
  readonly framesPerSecond: number;
}

/** Joins what the sender and the receiver saw. A flow can't receive more than was sent: duplicates would hide loss, so they throw. */
export function joinFlows(sent: SendReport, received: ReceiveReport, droppedAtDevice: number): FlowsReport {
  const flows = sent.sent.map((count, index) => {
    const arrived = received.received[index] ?? 0;
    if (arrived > count) throw new Error(`flow ${index}: ${arrived} frames arrived of ${count} sent`);
    return { sent: count, lost: count - arrived, outageMs: received.outageMs[index] ?? 0 };
  });
  const total = flows.reduce((sum, flow) => sum + flow.sent, 0);
  return {
    flows,
    sent: total,
    lost: flows.reduce((sum, flow) => sum + flow.lost, 0),
    disorder: received.disorder.reduce((sum, count) => sum + count, 0),
    droppedAtDevice,
    senderPauseMs: sent.senderPauseMs,
    framesPerSecond: total / sent.seconds,
  };
}

export interface Affected {
  readonly flows: number;
  readonly outageMs: number;
  readonly lostOnAffected: number;
  readonly lostOnOthers: number;
}

/** Splits flows at an outage of `thresholdMs`: those with a longer one were hit, the others should have lost nothing. */
export function splitByOutage(flows: readonly FlowResult[], thresholdMs: number): Affected {
  const hit = flows.filter((flow) => flow.outageMs > thresholdMs);
  const others = flows.filter((flow) => flow.outageMs <= thresholdMs);
  const lost = (which: readonly FlowResult[]) => which.reduce((sum, flow) => sum + flow.lost, 0);
  return {
    flows: hit.length,
    outageMs: Math.max(0, ...flows.map((flow) => flow.outageMs)),
    lostOnAffected: lost(hit),
    lostOnOthers: lost(others),
  };
}

export interface RunningFlows {
  /** Resolves when the sender has ended by itself and what was on its way has arrived. */
  report(): Promise<FlowsReport>;
}

/** Starts `rate` frames a second over `count` flows from one host to the other for `seconds`. */
export async function startFlows(
  site: Site,
  from: Host,
  to: Host,
  options: { rate: number; seconds: number; count: number },
): Promise<RunningFlows> {
  const receiver = new Daemon(trafficCommand('receive', options.count), site.cleanup, { namespace: to.namespace });
  await receiver.until(/listening/, 10);
  const dropped = readCounter(from, 'tx_dropped');
  const command = trafficCommand('send', to.address, options.rate, options.seconds, options.count);
  const sender = new Daemon(command, site.cleanup, { namespace: from.namespace });
  return {
    report: async () => {
      const sent = lastJson<SendReport>(await sender.finished(options.seconds + 30));
      await sleep(1000);
      await receiver.stop();
      const received = lastJson<ReceiveReport>(receiver.output);
      return joinFlows(sent, received, readCounter(from, 'tx_dropped') - dropped);
    },
  };
}

/**
 * The two answers that do not end by themselves: events as lines of JSON, captures as pcapng. Called by the routes on the main thread.
 * A client that never reads costs a bounded amount of memory and holds nobody up: events are dropped and counted, and a capture
 * stops taking frames from its own bounded queue, which then counts what it loses.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { type CaptureHeader, pcapngHeader, pcapngPacket, pcapngStatistics } from '../capture/pcapng.ts';
import type { Capture, SwitchEvent } from '../switch.ts';

/** Bytes of events that wait for a client. */
export const WAITING_BYTES_MAX = 256 * 1024;
const STATISTICS_EVERY_NS = 1_000_000_000n;

/** Said to a client that fell behind, before the next event that it gets. */
export interface EventsLost {
  readonly type: 'events-lost';
  readonly time: string;
  readonly count: number;
}

/** Streams events until the client goes or `stop` is called. */
export function streamEvents(
  response: ServerResponse,
  subscribe: (listener: (event: SwitchEvent) => void) => () => void,
): () => void {
  let lost = 0;
  const line = (value: SwitchEvent | EventsLost) => response.write(`${JSON.stringify(value)}\n`);
  const tellLost = () => {
    if (lost === 0 || response.writableLength > WAITING_BYTES_MAX) return;
    line({ type: 'events-lost', time: new Date().toISOString(), count: lost });
    lost = 0;
  };
  const unsubscribe = subscribe((event) => {
    tellLost();
    if (lost > 0 || response.writableLength > WAITING_BYTES_MAX) lost++;
    else line(event);
  });
  response.on('drain', tellLost);
  response.once('close', unsubscribe);
  response.writeHead(200, { 'content-type': 'application/x-ndjson; charset=utf-8', 'cache-control': 'no-store' });
  response.flushHeaders();
  return () => {
    unsubscribe();
    response.end();
  };
}

export interface CaptureStream {
  readonly header: CaptureHeader;
  /** Frames after which the stream ends by itself, null for never. */
  readonly count: number | null;
  /** Nanoseconds since the epoch. */
  readonly now: () => bigint;
}

async function drained(response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  const options = { signal: gone.signal };
  try {
    await Promise.race([once(response, 'drain', options), once(response, 'close', options)]);
  } catch {
    // The connection broke: 'close' follows and ends the capture.
  } finally {
    gone.abort();
  }
}

/** Streams a capture until its count is reached, the capture is closed, or the client goes. Closes the capture in every case. */
export async function streamCapture(response: ServerResponse, capture: Capture, stream: CaptureStream): Promise<void> {
  response.once('close', () => void capture.close());
  response.writeHead(200, { 'content-type': 'application/x-pcapng', 'cache-control': 'no-store' });
  response.write(pcapngHeader(stream.header));
  let taken = 0;
  let told = { lost: 0, at: stream.now() };
  const statistics = () => pcapngStatistics(stream.now(), taken, capture.lost);
  try {
    for await (const frame of capture) {
      taken++;
      const room = response.write(pcapngPacket(frame));
      if (taken === stream.count || response.destroyed) break;
      if (capture.lost !== told.lost && stream.now() - told.at >= STATISTICS_EVERY_NS) {
        told = { lost: capture.lost, at: stream.now() };
        response.write(statistics());
      }
      if (!room && !response.destroyed) await drained(response);
    }
  } finally {
    await capture.close();
    response.end(statistics());
  }
}

const ROWS_PER_SLICE = 2000;

/** A list as JSON text in slices, so that a million rows neither stand in one string nor hold the thread. */
export async function* jsonSlices(rows: readonly unknown[]): AsyncGenerator<string> {
  yield '[';
  for (let at = 0; at < rows.length; at += ROWS_PER_SLICE) {
    const slice = JSON.stringify(rows.slice(at, at + ROWS_PER_SLICE)).slice(1, -1);
    yield at === 0 ? slice : `,${slice}`;
    await new Promise(setImmediate);
  }
  yield ']';
}

/**
 * What a demo's switch counted, asked over its API and its metrics, as any user could. Called at a demo's end, on the main thread.
 */
import { request } from 'node:http';
import type { Client } from '../cli/client.ts';
import type { DropRow, PortRow } from '../switch.ts';
import type { DemoMetrics, Findings } from './result.ts';

const SAMPLE = ['weft_port_receive_frames_total', 'weft_dropped_frames_total', 'weft_fdb_entries'];

export interface Seen extends Pick<Findings, 'ports' | 'drops'> {
  readonly metrics: DemoMetrics;
}

export async function readSwitch(client: Client, metricsUrl: string): Promise<Seen> {
  const [ports, drops] = await Promise.all([client.get<PortRow[]>('/v1/ports'), client.get<DropRow[]>('/v1/drops')]);
  const text = await scrape(metricsUrl);
  const sample = SAMPLE.flatMap((name) => text.split('\n').find((line) => line.startsWith(`${name}{`)) ?? []);
  return {
    ports: ports.map(({ name, vlan, receive, transmit, dropped }) => ({ name, vlan, receive, transmit, dropped })),
    drops: drops.map(({ port, reason, meaning, frames }) => ({ port, reason, meaning, frames })),
    metrics: { url: metricsUrl, sample },
  };
}

/** The metrics' text; empty when nobody answers. */
function scrape(url: string): Promise<string> {
  return new Promise((resolve) => {
    const asked = request(url, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve(text));
    });
    asked.on('error', () => resolve(''));
    asked.end();
  });
}

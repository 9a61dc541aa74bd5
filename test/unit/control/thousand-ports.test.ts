/** How long a thousand ports hold the main thread. Measures milliseconds, so it stays alone (vitest.config.ts). */
import { expect, it, onTestFinished } from 'vitest';
import { startMetrics } from '../../../control/metrics/server.ts';
import { vlanRows } from '../../../control/running/show.ts';
import { fakeSource, portSample } from './fake-switch.ts';
import { rig, tap } from './running-rig.ts';

const SCRAPE_MS_MAX = 200;
const TIMER_MS_MAX = 50;
const ROWS_MS_MAX = 400;
const TRIES = 5;

it(`a scrape of 1,000 ports takes at most ${SCRAPE_MS_MAX} ms and delays no timer by more than ${TIMER_MS_MAX} ms`, async () => {
  const ports = Array.from({ length: 1000 }, (_, i) =>
    portSample(`br${i % 10}`, `port${i}`, { speed: 1e10, receiveBytes: i * 1e9 }),
  );
  const drops = ports.map(({ bridge, port }) => ({ bridge, port, reason: 'egress-full', frames: 1 }));
  const source = fakeSource({ ports: () => ports, drops: () => drops, missed: () => drops });
  const onError = (error: Error) => expect.unreachable(error.message);
  const server = await startMetrics(source, { host: '127.0.0.1', port: 0, version: '0.1.0', onError });
  onTestFinished(() => server.close());
  await server.warm();
  await (await fetch(server.url)).text();
  const best = { scrape: Number.POSITIVE_INFINITY, timer: Number.POSITIVE_INFINITY };
  for (let attempt = 0; attempt < TRIES; attempt++) {
    let worst = 0;
    let last = performance.now();
    const timer = setInterval(() => {
      worst = Math.max(worst, performance.now() - last - 2);
      last = performance.now();
    }, 2);
    const started = performance.now();
    const text = await (await fetch(server.url)).text();
    best.scrape = Math.min(best.scrape, performance.now() - started);
    best.timer = Math.min(best.timer, worst);
    clearInterval(timer);
    expect(text.match(/^weft_/gm)?.length).toBeGreaterThan(30_000);
  }
  expect(best.scrape).toBeLessThan(SCRAPE_MS_MAX);
  expect(best.timer).toBeLessThan(TIMER_MS_MAX);
  if (process.env.WEFT_TEST_VERBOSE !== undefined) console.log(best);
});

it(`the rows of VLANs of 1,000 trunks take at most ${ROWS_MS_MAX} ms`, async () => {
  const { base, start } = rig();
  await start([tap('a', { vlan: { tag: 10 } }), ...Array.from({ length: 1000 }, (_, k) => tap(`t${k}`))]);
  const took = Array.from({ length: TRIES }, () => {
    const before = performance.now();
    expect(vlanRows(base)).toHaveLength(3);
    return performance.now() - before;
  });
  expect(Math.min(...took)).toBeLessThan(ROWS_MS_MAX);
});

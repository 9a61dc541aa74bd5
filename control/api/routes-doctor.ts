/**
 * The route of `weft doctor`: asks the ways between tunnels' ends, from the daemon, whose namespace is the right one. Registered by app.ts.
 * Pairs are told as soon as they are known; a client that goes ends the asking.
 */
import type { ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import type { z } from 'zod';
import type { OpenEcho } from '../doctor/echo.ts';
import { examineMtu, type Pair, pairsOf } from '../doctor/mtu.ts';
import { RequestError } from '../errors.ts';
import type { TunnelRow } from '../tunnel-rows.ts';
import type { AppContext } from './context.ts';
import { checkRoom } from './routes-stream.ts';
import { type MtuLine, mtuBody, mtuLine } from './tunnel-schemas.ts';

type Wanted = z.infer<typeof mtuBody>;

/** Throws a RequestError where none is wanted, or one that there isn't. */
function wantedTunnels(all: readonly TunnelRow[], { bridge, tunnel }: Wanted): TunnelRow[] {
  const wanted = all.filter((row) => row.bridge === (bridge ?? row.bridge) && row.name === (tunnel ?? row.name));
  if (wanted.length > 0) return wanted;
  if (all.length === 0)
    throw new RequestError('no-tunnel', 'there is no tunnel', 'a port of kind vxlan, geneve or gre is one', 404);
  const name = [bridge, tunnel].filter((part) => part !== undefined).join('/');
  throw new RequestError('no-tunnel', `there is no tunnel "${name}"`, '`weft show tunnels` lists them', 404);
}

/** A line when it begins, for each pair, and at the end, which lacks when it was stopped. */
async function answer(
  response: ServerResponse,
  pairs: readonly Pair[],
  open: OpenEcho,
  { streams }: AppContext,
): Promise<void> {
  const stopped = new AbortController();
  const stop = () => stopped.abort();
  const line = (value: MtuLine) => void response.write(`${JSON.stringify(value)}\n`);
  streams.add(stop);
  response.once('close', () => {
    stop();
    streams.delete(stop);
  });
  response.writeHead(200, { 'content-type': 'application/x-ndjson; charset=utf-8', 'cache-control': 'no-store' });
  line({ type: 'begin', pairs: pairs.length });
  await examineMtu(pairs, open, (row) => line({ type: 'pair', ...row, tunnels: [...row.tunnels] }), stopped.signal);
  if (!stopped.signal.aborted) line({ type: 'end' });
  response.end();
}

export function doctorRoutes(app: FastifyInstance, context: AppContext): void {
  app.post<{ Body: Wanted | null | undefined }>(
    '/v1/doctor/mtu',
    {
      schema: {
        summary: 'How long a packet the ways to tunnels’ remotes really take, one JSON object a line',
        body: mtuBody.nullish(),
        produces: ['application/x-ndjson'],
        response: { 200: mtuLine },
      },
    },
    async (request, reply) => {
      checkRoom(context);
      const pairs = pairsOf(wantedTunnels(context.switch.tunnels(), request.body ?? {}));
      const open = await context.loadEcho();
      reply.hijack();
      await answer(reply.raw, pairs, open, context).catch((error: Error) => {
        context.log.error({ err: error }, 'asking the ways of tunnels failed');
        reply.raw.destroy();
      });
    },
  );
}

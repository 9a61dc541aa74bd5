/**
 * Routes whose answer does not end by itself. Registered by app.ts; streams.ts does the work and keeps the bounds.
 */
import { release, type } from 'node:os';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { RequestError } from '../errors.ts';
import type { AppContext } from './context.ts';
import { captureQuery, parseEtherType } from './schemas.ts';
import { streamCapture, streamEvents } from './streams.ts';

/** Streams are cheap, but each capture copies frames in the workers. */
const STREAMS_MAX = 64;

function nowNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}

function captureOf(context: AppContext, query: z.infer<typeof captureQuery>) {
  const { count: _, etherType, mac, ...rest } = query;
  const found = context.switch
    .ports()
    .filter((port) => port.name === query.port && (query.bridge ?? port.bridge) === port.bridge);
  if (query.bridge === undefined && found.length > 1) {
    const names = found.map((port) => `${port.bridge}/${port.name}`).join(', ');
    throw new RequestError('ambiguous-port', `several bridges have a port "${query.port}"`, `name one of ${names}`);
  }
  const capture = context.switch.capture({
    ...rest,
    bridge: query.bridge ?? found[0]?.bridge,
    mac: mac?.toLowerCase().replaceAll('-', ':'),
    etherType: etherType === undefined ? undefined : (parseEtherType(etherType) ?? undefined),
  });
  return { capture, bridge: query.bridge ?? found[0]?.bridge ?? '' };
}

/** Throws a RequestError where as many streams are open as may be. */
export function checkRoom(context: AppContext): void {
  if (context.streams.size < STREAMS_MAX) return;
  throw new RequestError(
    'too-many-streams',
    `${STREAMS_MAX} events and capture streams are open already`,
    'end one of them',
    429,
  );
}

export function streamRoutes(app: FastifyInstance, context: AppContext): void {
  app.get(
    '/v1/events',
    {
      schema: {
        summary: 'Events as they happen, one JSON object a line',
        produces: ['application/x-ndjson'],
        response: { 200: z.string() },
      },
    },
    (_, reply) => {
      checkRoom(context);
      reply.hijack();
      const stop = streamEvents(reply.raw, (listener) => context.switch.onEvent(listener));
      context.streams.add(stop);
      reply.raw.once('close', () => context.streams.delete(stop));
    },
  );
  app.get<{ Querystring: z.infer<typeof captureQuery> }>(
    '/v1/capture',
    {
      schema: {
        summary: 'Frames of a port as they pass, as pcapng',
        querystring: captureQuery,
        produces: ['application/x-pcapng'],
        response: { 200: z.string() },
      },
    },
    (request, reply) => {
      checkRoom(context);
      const { port, snapLength, count } = request.query;
      const { capture, bridge } = captureOf(context, request.query);
      reply.hijack();
      const stop = () => void capture.close();
      context.streams.add(stop);
      reply.raw.once('close', () => context.streams.delete(stop));
      const header = { bridge, port, snapLength, application: `weft ${context.version}`, os: `${type()} ${release()}` };
      streamCapture(reply.raw, capture, { header, count: count ?? null, now: nowNs }).catch((error: Error) => {
        context.log.error({ err: error, port }, 'a capture failed');
        reply.raw.destroy();
      });
    },
  );
}

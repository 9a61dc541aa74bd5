/**
 * Routes that only look: each answers what the Switch says at that moment. Registered by app.ts.
 */
import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { documentSchema } from '../config/document.ts';
import { bondRow } from './bond-schemas.ts';
import type { AppContext } from './context.ts';
import {
  bridgeRow,
  dropRow,
  fdbQuery,
  fdbRow,
  healthAnswer,
  lookedAtParams,
  portDetail,
  portRow,
  versionAnswer,
  vlanRow,
  workerRow,
} from './schemas.ts';
import { jsonSlices } from './streams.ts';
import { tunnelRow } from './tunnel-schemas.ts';

function health(sw: AppContext['switch']): z.infer<typeof healthAnswer> {
  const workersNotRunning = sw.workers().filter((worker) => worker.state !== 'running');
  const portsDown = sw.ports().filter((port) => !port.up);
  return {
    status: workersNotRunning.length === 0 ? 'ok' : 'degraded',
    workersNotRunning: workersNotRunning.map((worker) => worker.index),
    portsDown: portsDown.map(({ bridge, name, reason }) => ({ bridge, port: name, reason })),
  };
}

export function readRoutes(app: FastifyInstance, context: AppContext): void {
  const sw = context.switch;
  const table = (path: string, summary: string, row: z.ZodType, rows: () => unknown[]) =>
    app.get(path, { schema: { summary, response: { 200: z.array(row) } } }, rows);

  app.get('/v1/config', { schema: { summary: 'The running document', response: { 200: documentSchema } } }, () =>
    sw.config(),
  );
  table('/v1/bridges', 'Bridges', bridgeRow, () => sw.bridges());
  table('/v1/ports', 'Ports with their counters', portRow, () => sw.ports());
  app.get<{ Params: z.infer<typeof lookedAtParams> }>(
    '/v1/bridges/:bridge/ports/:port',
    {
      schema: {
        summary: 'One port, or a bond’s member as bond%2Fmember, with its settings and its other side',
        params: lookedAtParams,
        response: { 200: portDetail },
      },
    },
    (request) => sw.port(request.params.bridge, request.params.port),
  );
  table('/v1/vlans', 'Members of each VLAN', vlanRow, () => sw.vlans());
  table('/v1/workers', 'Forwarding workers', workerRow, () => sw.workers());
  table('/v1/bonds', 'Bonds, with their members and what LACP agreed on', bondRow, () => sw.bonds());
  table('/v1/tunnels', 'Tunnels, with their remotes, sockets and MTU', tunnelRow, () => sw.tunnels());
  table('/v1/drops', 'Frames lost in the switch, by port and reason', dropRow, () => sw.drops());
  app.get<{ Querystring: z.infer<typeof fdbQuery> }>(
    '/v1/fdb',
    { schema: { summary: 'The forwarding database', querystring: fdbQuery, response: { 200: z.array(fdbRow) } } },
    (request, reply) => {
      const { mac, ...rest } = request.query;
      const rows = sw.fdb({ ...rest, mac: mac?.toLowerCase().replaceAll('-', ':') });
      return reply.type('application/json; charset=utf-8').send(Readable.from(jsonSlices(rows)));
    },
  );
  app.get('/v1/version', { schema: { summary: 'What runs', response: { 200: versionAnswer } } }, () => ({
    version: context.version,
    node: process.version,
    pid: process.pid,
  }));
  app.get(
    '/v1/health',
    {
      schema: { summary: '200 while every worker runs, else 503', response: { 200: healthAnswer, 503: healthAnswer } },
    },
    (_, reply) => {
      const answer = health(sw);
      return reply.code(answer.status === 'ok' ? 200 : 503).send(answer);
    },
  );
}

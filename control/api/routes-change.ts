/**
 * Routes that change the running switch. Registered by app.ts. The Switch puts simultaneous changes in order; nothing is kept here.
 */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { Document, PortDocument } from '../config/document.ts';
import { parseYaml, validateDocument } from '../config/load.ts';
import { strict } from '../config/values.ts';
import { DocumentError } from '../errors.ts';
import { memberBody, memberParams } from './bond-schemas.ts';
import type { AppContext } from './context.ts';
import {
  applyBody,
  applyResult,
  bridgeParams,
  fdbBody,
  fdbDeleteQuery,
  flushBody,
  flushedAnswer,
  portBody,
  portParams,
  savedAnswer,
  workerParams,
} from './schemas.ts';

const nothing = z.null().describe('done, nothing to say');

function documentOf(body: z.infer<typeof applyBody>): Document {
  const { document, yaml } = body;
  if ((document === undefined) === (yaml === undefined)) {
    throw new DocumentError([{ place: 'body', message: 'expected either document or yaml' }]);
  }
  return yaml !== undefined ? parseYaml(yaml) : validateDocument(document);
}

function configRoutes(app: FastifyInstance, { switch: sw }: AppContext): void {
  app.post<{ Body: z.infer<typeof applyBody>; Querystring: z.infer<typeof dryRunQuery> }>(
    '/v1/apply',
    {
      schema: {
        summary:
          'Make the running switch as this document says; application/yaml takes the text itself, with ?dryRun=true',
        body: applyBody,
        querystring: dryRunQuery,
        response: { 200: applyResult },
      },
    },
    (request) => {
      const dryRun = request.body.dryRun === true || request.query.dryRun === 'true';
      return sw.apply(documentOf(request.body), { dryRun });
    },
  );
  app.post(
    '/v1/save',
    { schema: { summary: 'Write the running document to its file', response: { 200: savedAnswer } } },
    () => sw.save(),
  );
  app.post<{ Params: z.infer<typeof bridgeParams>; Body: PortDocument }>(
    '/v1/bridges/:bridge/ports',
    { schema: { summary: 'Add a port', params: bridgeParams, body: portBody, response: { 200: applyResult } } },
    (request) => sw.addPort(request.params.bridge, request.body),
  );
  app.delete<{ Params: z.infer<typeof portParams> }>(
    '/v1/bridges/:bridge/ports/:port',
    { schema: { summary: 'Delete a port', params: portParams, response: { 200: applyResult } } },
    (request) => sw.deletePort(request.params.bridge, request.params.port),
  );
}

function fdbRoutes(app: FastifyInstance, { switch: sw }: AppContext): void {
  app.post<{ Params: z.infer<typeof bridgeParams>; Body: z.infer<typeof fdbBody> }>(
    '/v1/bridges/:bridge/fdb',
    {
      schema: {
        summary: 'Add a static or sticky entry',
        params: bridgeParams,
        body: fdbBody,
        response: { 204: nothing },
      },
    },
    async (request, reply) => {
      await sw.addFdb({ ...request.body, mac: normal(request.body.mac), bridge: request.params.bridge });
      return reply.code(204).send();
    },
  );
  app.delete<{ Params: z.infer<typeof bridgeParams>; Querystring: z.infer<typeof fdbDeleteQuery> }>(
    '/v1/bridges/:bridge/fdb',
    {
      schema: {
        summary: 'Delete an entry',
        params: bridgeParams,
        querystring: fdbDeleteQuery,
        response: { 204: nothing },
      },
    },
    async (request, reply) => {
      await sw.deleteFdb({ bridge: request.params.bridge, vlan: request.query.vlan, mac: normal(request.query.mac) });
      return reply.code(204).send();
    },
  );
  app.post<{ Body: z.infer<typeof flushBody> }>(
    '/v1/fdb/flush',
    { schema: { summary: 'Forget learned addresses', body: flushBody, response: { 200: flushedAnswer } } },
    async (request) => ({ flushed: await sw.flushFdb(request.body) }),
  );
}

function bondRoutes(app: FastifyInstance, { switch: sw }: AppContext): void {
  app.post<{ Params: z.infer<typeof memberParams>; Body: z.infer<typeof memberBody> }>(
    '/v1/bonds/:bridge/:port/members/:member',
    {
      schema: {
        summary: 'Take a member out of its bond, let it in again, or make it the active one',
        params: memberParams,
        body: memberBody,
        response: { 204: nothing },
      },
    },
    async (request, reply) => {
      const { bridge, port, member } = request.params;
      await sw.commandMember(bridge, port, member, request.body.command);
      return reply.code(204).send();
    },
  );
}

function normal(mac: string): string {
  return mac.toLowerCase().replaceAll('-', ':');
}

const dryRunQuery = strict('the query', { dryRun: z.enum(['true', 'false']).optional() });

export function changeRoutes(app: FastifyInstance, context: AppContext): void {
  configRoutes(app, context);
  fdbRoutes(app, context);
  bondRoutes(app, context);
  app.post<{ Params: z.infer<typeof workerParams> }>(
    '/v1/workers/:index/restart',
    {
      schema: { summary: 'End a worker’s thread and start it again', params: workerParams, response: { 204: nothing } },
    },
    async (request, reply) => {
      await context.switch.restartWorker(request.params.index);
      return reply.code(204).send();
    },
  );
}

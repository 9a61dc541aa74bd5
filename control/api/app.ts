/**
 * The API as a fastify application: checks by zod, answers as JSON, errors as `{error: {code, message, hint, problems}}`, OpenAPI.
 * Loaded by server.ts when the first request comes or the daemon has time, since fastify costs more to load than all of the rest.
 */
import type { Server } from 'node:http';
import swagger from '@fastify/swagger';
import { type FastifyError, type FastifyInstance, type FastifySchema, fastify } from 'fastify';
import type { z } from 'zod';
import { problemsOf } from '../config/problems.ts';
import { DocumentError, WeftError } from '../errors.ts';
import type { AppContext } from './context.ts';
import { changeRoutes } from './routes-change.ts';
import { doctorRoutes } from './routes-doctor.ts';
import { readRoutes } from './routes-read.ts';
import { streamRoutes } from './routes-stream.ts';
import { described, type ErrorAnswer, errorAnswer } from './schemas.ts';

export const BODY_BYTES_MAX = 16 * 1024 * 1024;

/** Codes for what the HTTP library itself refuses. */
const LIBRARY_CODES: Readonly<Record<string, string>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body-too-large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'wrong-media-type',
  FST_ERR_CTP_INVALID_JSON_BODY: 'not-json',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'not-json',
};

export function errorBody(error: Error): { status: number; body: ErrorAnswer } {
  if (error instanceof WeftError) {
    const problems = error instanceof DocumentError ? [...error.problems] : [];
    const { message, hint, status } = error;
    const inBody = ((error as Partial<FastifyError>).validationContext ?? 'body') === 'body';
    const code = inBody ? error.code : 'bad-request';
    return { status, body: { error: { code, message, hint, problems } } };
  }
  const { code, statusCode = 500, message } = error as FastifyError;
  const known = statusCode < 500;
  const text = known ? message : `weft failed: ${message}`;
  const hint = known ? null : 'the daemon’s log says more';
  return {
    status: statusCode,
    body: {
      error: { code: known ? (LIBRARY_CODES[code] ?? 'bad-request') : 'internal', message: text, hint, problems: [] },
    },
  };
}

function validator(schema: z.ZodType) {
  return (value: unknown) => {
    const result = schema.safeParse(value, { reportInput: true });
    if (result.success) return { value: result.data };
    const problems = result.error.issues.flatMap((issue) => problemsOf(issue));
    return { error: new DocumentError(problems.map(({ place, message }) => ({ place, message }))) };
  };
}

/** What the machine refused is told in a sentence; a stack is for what is a mistake of ours. */
function noteFailure({ log }: AppContext, error: Error, request: string): void {
  if (!(error instanceof WeftError)) log.error({ err: error, request }, 'a request failed');
  else log.warn({ request, code: error.code, reason: error.message }, 'a request was refused by the machine');
}

type Schemas = Readonly<Record<string, z.ZodType>>;

/** Turns a route's zod schemas into what @fastify/swagger reads. */
function describeRoute(schema: FastifySchema | undefined): FastifySchema {
  const { body, querystring, params, response, ...rest } = (schema ?? {}) as Record<string, unknown>;
  const out: Record<string, unknown> = { ...rest };
  for (const [key, part] of Object.entries({ body, querystring, params })) {
    if (part !== undefined) out[key] = described(part as z.ZodType);
  }
  const answers: Schemas = { ...((response as Schemas | undefined) ?? {}), default: errorAnswer };
  out.response = Object.fromEntries(Object.entries(answers).map(([status, part]) => [status, described(part)]));
  return out as FastifySchema;
}

async function addOpenApi(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Weft', version, description: 'One daemon of the Weft virtual switch, over its unix socket.' },
      servers: [{ url: 'http://localhost', description: 'by the unix socket' }],
    },
    transform: ({ schema, url }) => ({ schema: describeRoute(schema), url }),
  });
}

/** JSON as fastify reads it, but a request without a body may say that it is JSON, as many clients do. */
function addParsers(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, text, done) => {
    if (text === '') done(null, undefined);
    else void parse(request, text as string, done);
  });
  const yaml = ['application/yaml', 'text/yaml', 'application/x-yaml'];
  app.addContentTypeParser(yaml, { parseAs: 'string' }, (_, text, done) => done(null, { yaml: text }));
}

/** Builds the application over a server that listens already; `dispatch` is what the server's requests go to. */
export async function buildApp(server: Server, context: AppContext): Promise<FastifyInstance> {
  const app = fastify({
    serverFactory: () => server,
    bodyLimit: BODY_BYTES_MAX,
    forceCloseConnections: true,
    logger: false,
  });
  app.setValidatorCompiler<z.ZodType>(({ schema }) => validator(schema));
  app.setSerializerCompiler(() => JSON.stringify);
  app.setErrorHandler((error: Error, request, reply) => {
    const { status, body } = errorBody(error);
    if (status >= 500) noteFailure(context, error, `${request.method} ${request.url}`);
    return reply.code(status).send(body);
  });
  app.setNotFoundHandler((request, reply) => {
    const message = `there is no ${request.method} ${request.url.split('?')[0]}`;
    const hint = 'GET /v1/openapi.json lists what there is';
    return reply.code(404).send({ error: { code: 'no-route', message, hint, problems: [] } } satisfies ErrorAnswer);
  });
  await addOpenApi(app, context.version);
  addParsers(app);
  app.register(async (scope) => {
    readRoutes(scope, context);
    changeRoutes(scope, context);
    streamRoutes(scope, context);
    doctorRoutes(scope, context);
    scope.get('/v1/openapi.json', { schema: { hide: true } }, () => app.swagger());
  });
  await app.ready();
  return app;
}

/**
 * Speaks to the daemon over its unix socket. Called by every command that needs one. Plain node:http, which is loaded anyway:
 * undici would add 130 ms to each command (measured 2026, Node 20).
 */
import { type IncomingMessage, request } from 'node:http';
import { DocumentError, type Problem, WeftError } from '../errors.ts';

export interface Client {
  get<T>(path: string): Promise<T>;
  send<T>(method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<T>;
  /** The answer as it arrives. Destroy it to end the request. */
  stream(path: string, method?: 'GET' | 'POST', body?: unknown): Promise<IncomingMessage>;
}

function connectionError(path: string, error: NodeJS.ErrnoException): WeftError {
  if (error.code === 'EACCES' || error.code === 'EPERM') {
    return new WeftError('no-permission', `no permission to use ${path}`, {
      hint: 'run as root (sudo), or join the group weft',
      cause: error,
    });
  }
  if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') {
    return new WeftError('not-running', `the weft daemon isn’t running: nobody answers at ${path}`, {
      hint: 'start it with `weft run -c FILE`, or name its socket with --socket or WEFT_SOCKET',
      cause: error,
    });
  }
  return new WeftError('connection', `the connection to ${path} failed: ${error.message}`, { cause: error });
}

interface ErrorBody {
  readonly error?: { code: string; message: string; hint: string | null; problems: Problem[] };
}

function answerError(status: number, text: string): WeftError {
  let body: ErrorBody = {};
  try {
    body = JSON.parse(text) as ErrorBody;
  } catch {
    // Not ours: the status has to do.
  }
  const {
    code = 'bad-answer',
    message = `the daemon answered ${status}`,
    hint = null,
    problems = [],
  } = body.error ?? {};
  if (problems.length > 0) return new DocumentError(problems);
  return new WeftError(code, message, { exitCode: status < 500 ? 2 : 1, status, hint });
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function open(socketPath: string, method: string, path: string, body: unknown): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers =
      text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
    const sent = request({ socketPath, method, path, headers, agent: false });
    sent.once('error', (error) => reject(connectionError(socketPath, error)));
    sent.once('response', resolve);
    sent.end(text);
  });
}

async function checked(response: IncomingMessage): Promise<IncomingMessage> {
  const status = response.statusCode ?? 0;
  if (status >= 200 && status < 300) return response;
  throw answerError(status, await textOf(response));
}

export function makeClient(socketPath: string): Client {
  const ask = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const text = await textOf(await checked(await open(socketPath, method, path, body)));
    return (text === '' ? undefined : JSON.parse(text)) as T;
  };
  return {
    get: (path) => ask('GET', path),
    send: ask,
    stream: async (path, method = 'GET', body = undefined) => checked(await open(socketPath, method, path, body)),
  };
}

/** `?a=1&b=2` of what is there. */
export function query(values: Readonly<Record<string, string | number | undefined>>): string {
  const entries = Object.entries(values).filter((entry): entry is [string, string | number] => entry[1] !== undefined);
  const text = new URLSearchParams(entries.map(([key, value]): [string, string] => [key, String(value)])).toString();
  return text === '' ? '' : `?${text}`;
}

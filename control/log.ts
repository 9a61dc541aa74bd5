/**
 * The log: pino lines on stderr, one readable line each when stderr is a terminal. Made by daemon.ts on the main thread and handed
 * down as the `Log` interface. A message that repeats too often is held back and its number told later, so that a flapping port
 * can't fill a disk.
 */
import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino';

type Fields = Readonly<Record<string, unknown>>;
type Write = (fields: Fields, message: string) => void;

export interface Log {
  readonly debug: Write;
  readonly info: Write;
  readonly warn: Write;
  readonly error: Write;
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Lines of one message let through in a window; an error that is worth reading is among the first. */
const BURST = 20;
const WINDOW_MS = 10_000;
/** Different messages that are remembered. */
const MESSAGES_MAX = 1000;

/** Answers whether a line may pass, and tells how many did not once the window is over. */
export class RateLimit {
  readonly #seen = new Map<string, { since: number; lines: number }>();
  readonly #now: () => number;
  readonly #tell: (message: string, suppressed: number) => void;
  constructor(now: () => number, tell: (message: string, suppressed: number) => void) {
    this.#now = now;
    this.#tell = tell;
  }
  passes(message: string): boolean {
    const now = this.#now();
    const entry = this.#seen.get(message);
    if (entry === undefined || now - entry.since >= WINDOW_MS) {
      if (entry !== undefined && entry.lines > BURST) this.#tell(message, entry.lines - BURST);
      if (this.#seen.size >= MESSAGES_MAX) this.#seen.clear();
      this.#seen.set(message, { since: now, lines: 1 });
      return true;
    }
    entry.lines++;
    return entry.lines <= BURST;
  }
}

const COLOURS: Readonly<Record<string, string>> = { debug: '2', info: '36', warn: '33', error: '31' };

/** A pino line as a person reads it: `12:34:56 warn  port br0/web is down  reason=…`. */
export function prettyLine(json: string, colour: boolean): string {
  const { level, time, msg, err, ...fields } = JSON.parse(json) as Record<string, unknown> & {
    level: string;
    time: string;
  };
  const rest = Object.entries(fields).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const failure = err as { message?: string; stack?: string } | undefined;
  if (failure !== undefined)
    rest.push(level === 'error' ? `\n${failure.stack ?? failure.message}` : `error=${failure.message}`);
  const name = level.padEnd(5);
  const painted = colour ? `\u001b[${COLOURS[level] ?? '0'}m${name}\u001b[0m` : name;
  return `${time.slice(11, 19)} ${painted} ${String(msg)}${rest.length === 0 ? '' : `  ${rest.join(' ')}`}\n`;
}

function prettyStream(stream: NodeJS.WriteStream, colour: boolean): DestinationStream {
  return { write: (json: string) => void stream.write(prettyLine(json, colour)) };
}

export interface LogOptions {
  readonly level: LogLevel;
  readonly stream: NodeJS.WriteStream;
  readonly colour: boolean;
}

/** Not the wall clock: after a step back it would hold messages for as long as the step. */
const monotonicMs = () => performance.now();

export function makeLog(options: LogOptions): Log {
  const { level, stream, colour } = options;
  const destination = stream.isTTY
    ? prettyStream(stream, colour)
    : { write: (json: string) => void stream.write(json) };
  const logger: Logger = pino(
    { level, base: null, timestamp: stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) } },
    destination,
  );
  const limit = new RateLimit(monotonicMs, (message, suppressed) =>
    logger.warn({ suppressed }, `held back: ${message}`),
  );
  const at =
    (name: 'debug' | 'info' | 'warn' | 'error'): Write =>
    (fields, message) => {
      if (limit.passes(message)) logger[name](fields, message);
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/**
 * What a command may touch of its process: where it prints, how wide, whether in colour. Made by main.ts; tests pass their own.
 */
import { DocumentError, WeftError } from '../errors.ts';

export interface Io {
  readonly out: NodeJS.WritableStream;
  readonly err: NodeJS.WritableStream;
  readonly environment: NodeJS.ProcessEnv;
  /** Is standard output a terminal? */
  readonly terminal: boolean;
  readonly colour: boolean;
  /** Columns of the terminal; without one nothing is cut. */
  readonly width: () => number;
}

export function processIo(): Io {
  const { stdout, stderr, env } = process;
  const terminal = stdout.isTTY === true;
  return {
    out: stdout,
    err: stderr,
    environment: env,
    terminal,
    colour: terminal && !env.NO_COLOR && env.TERM !== 'dumb',
    width: () => (terminal ? (stdout.columns ?? 80) : Number.POSITIVE_INFINITY),
  };
}

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;
export type Colour = keyof typeof CODES;

export function paint(io: Pick<Io, 'colour'>, colour: Colour, text: string): string {
  return io.colour && text !== '' ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text;
}

export function print(io: Io, text: string): void {
  io.out.write(`${text}\n`);
}

/** A remark beside what was asked for. */
export function note(io: Io, text: string): void {
  io.err.write(`${text}\n`);
}

export function printJson(io: Io, value: unknown): void {
  print(io, JSON.stringify(value, null, 2));
}

/** `file:4: bridges[0].name: …`, one line for each problem. */
export function problemLines(error: DocumentError, file: string | null): string[] {
  return error.problems.map(({ place, message, line }) => {
    const where = file === null ? '' : `${file}${line === undefined ? '' : `:${line}`}: `;
    return `${where}${place}: ${message}`;
  });
}

/** An error from below control, which has no WeftError: native's, of an addon that is missing or doesn't fit. */
function hasHint(error: unknown): error is Error & { readonly hint: string } {
  return error instanceof Error && 'hint' in error && typeof error.hint === 'string';
}

/** Prints an error with its remedy; answers the exit code. What is not a WeftError is a bug of ours and shows its stack. */
export function printError(io: Io, error: unknown, file: string | null = null): number {
  const word = paint({ colour: io.colour }, 'red', 'weft:');
  if (error instanceof DocumentError) {
    for (const line of problemLines(error, file)) note(io, `${word} ${line}`);
    return error.exitCode;
  }
  if (error instanceof WeftError || hasHint(error)) {
    note(io, `${word} ${error.message}`);
    if (error.hint !== null) note(io, `      ${error.hint}`);
    return error instanceof WeftError ? error.exitCode : 1;
  }
  note(io, `${word} ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return 1;
}

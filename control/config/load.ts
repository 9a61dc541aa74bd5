/**
 * YAML text, a file or a plain value becomes a Document, or a DocumentError with every problem at once, each with its
 * place and (from text) its line. Called by the CLI, the API and the running switch. Never changes what was written.
 */
import { readFileSync } from 'node:fs';
import { isMap, isNode, LineCounter, parseDocument, type Document as YamlDocument } from 'yaml';
import { DocumentError, type Problem, WeftError } from '../errors.ts';
import { crossChecks, type Host } from './checks.ts';
import { type Document, documentSchema } from './document.ts';
import { thisHost } from './host.ts';
import { outlineOf } from './outline.ts';
import { type PlacedProblem, problemAt, problemsOf } from './problems.ts';

const BYTES_MAX = 64 << 20;

/** All that is wrong with a value as a document; empty when it is one. */
function problemsIn(value: unknown, host: Host): PlacedProblem[] {
  if (value === null || value === undefined)
    return [problemAt([], 'is empty; a document needs at least `bridges: []`')];
  const parsed = documentSchema.safeParse(value, { reportInput: true });
  const problems = parsed.success ? [] : parsed.error.issues.flatMap((issue) => problemsOf(issue));
  const places = new Set(problems.map((problem) => problem.place));
  for (const problem of crossChecks(outlineOf(value), host)) {
    if (!places.has(problem.place)) problems.push(problem);
  }
  return problems;
}

/** 1-based line of a path: of its key where it has one, else of the nearest thing above it. */
function lineOf(yaml: YamlDocument, lines: LineCounter, path: readonly PropertyKey[]): number | undefined {
  for (let length = path.length; length >= 0; length--) {
    const parent = length === 0 ? null : yaml.getIn(path.slice(0, length - 1), true);
    const key = path[length - 1];
    const pair = isMap(parent) ? parent.items.find((item) => isNode(item.key) && item.key.toJSON() === key) : undefined;
    const node = isNode(pair?.key) ? pair.key : yaml.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
  }
  return undefined;
}

function withoutPath(problem: PlacedProblem, line: number | undefined): Problem {
  const { place, message } = problem;
  return line === undefined ? { place, message } : { place, message, line };
}

/** Checks a plain value, as the API receives it. Throws a DocumentError without lines. */
export function validateDocument(value: unknown, host: Host = thisHost()): Document {
  const problems = problemsIn(value, host);
  if (problems.length > 0) throw new DocumentError(problems.map((problem) => withoutPath(problem, undefined)));
  return value as Document;
}

/** Reads YAML text. Throws a DocumentError with every problem and its line. */
export function parseYaml(text: string, host: Host = thisHost()): Document {
  const lines = new LineCounter();
  const yaml = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (yaml.errors.length > 0) {
    throw new DocumentError(
      yaml.errors.map((error) => {
        const { line, col } = lines.linePos(error.pos[0]);
        return { place: 'document', message: `is not YAML: ${error.message} (line ${line}, column ${col})`, line };
      }),
    );
  }
  const value = plainValue(yaml);
  const problems = problemsIn(value, host);
  if (problems.length === 0) return value as Document;
  const placed = problems.map((problem) => withoutPath(problem, lineOf(yaml, lines, problem.path)));
  throw new DocumentError(placed.sort((a, b) => (a.line ?? 0) - (b.line ?? 0)));
}

function plainValue(yaml: YamlDocument): unknown {
  try {
    return yaml.toJS({ maxAliasCount: 1000 });
  } catch (error) {
    throw new DocumentError([{ place: 'document', message: `is not usable YAML: ${(error as Error).message}` }]);
  }
}

/** Reads a file. Throws a WeftError (code `unreadable-file`, exit 2) or a DocumentError. */
export function loadFile(file: string, host: Host = thisHost()): Document {
  return parseYaml(readText(file), host);
}

export function readText(file: string): string {
  try {
    const bytes = readFileSync(file);
    if (bytes.length > BYTES_MAX) throw new Error(`it has ${bytes.length} bytes (at most ${BYTES_MAX})`);
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reasons: Readonly<Record<string, string>> = {
      ENOENT: 'there is no such file',
      EACCES: 'no permission to read it',
      EISDIR: 'it is a directory',
      ERR_ENCODING_INVALID_ENCODED_DATA: 'it is not UTF-8 text',
    };
    const reason = reasons[code ?? ''] ?? message;
    throw new WeftError('unreadable-file', `${file}: ${reason}`, { exitCode: 2, status: 400, cause: error });
  }
}

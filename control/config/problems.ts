/**
 * From zod's issues to the problems that a person reads: the place in the document, what was found, what is allowed.
 * Called by load.ts. Pure.
 */
import type { z } from 'zod';
import type { Problem } from '../errors.ts';
import { MEMBER_KINDS } from './bond-schema.ts';
import { PORT_KINDS } from './document.ts';

type Path = readonly PropertyKey[];
type Issue = z.core.$ZodIssue;

/** A problem that still knows its path, so that load.ts can find its line. */
export interface PlacedProblem extends Problem {
  readonly path: Path;
}

/** `bridges[0].ports[2].vlan.tag`; the document itself is `document`. */
export function placeOf(path: Path): string {
  let place = '';
  for (const key of path) {
    if (typeof key === 'number') place += `[${key}]`;
    else place += place === '' ? String(key) : `.${String(key)}`;
  }
  return place === '' ? 'document' : place;
}

export function problemAt(path: Path, message: string): PlacedProblem {
  return { place: placeOf(path), message, path };
}

/** A value as it is shown in a message: short, and recognisable. */
export function shown(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

/** Edits (insert, delete, replace, swap of neighbours) between two words. */
function distance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, rows[i - 1]![j - 1]! + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, rows[i - 2]![j - 2]! + 1);
      row.push(best);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}

/** The allowed word nearest to what was written, or null when none is near. */
export function nearest(word: string, allowed: readonly string[]): string | null {
  const lower = word.toLowerCase().replaceAll('_', '-').slice(0, 40);
  let best: string | null = null;
  let bestDistance = Math.max(1, Math.floor(lower.length / 3)) + 0.5;
  for (const candidate of allowed) {
    const d = distance(lower, candidate);
    if (d < bestDistance) [best, bestDistance] = [candidate, d];
  }
  return best;
}

function didYouMean(word: string, allowed: readonly string[]): string {
  const near = nearest(word, allowed);
  return near === null ? '' : `; did you mean "${near}"?`;
}

/** Keys that other kinds have, and what stands in their place. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  'a vxlan port/key': 'that is GRE’s word, write vni',
  'a geneve port/key': 'that is GRE’s word, write vni',
  'a gre port/vni': 'GRE’s word is key',
  'a gre port/vlans': 'make a port for each VLAN, with a key of its own',
  'a gre port/group': 'GRE is sent to remotes only',
  'a gre port/device': 'GRE is sent as the kernel routes it',
  'a gre port/port': 'GRE lies on IP and has no ports',
  'a gre port/checksum': 'GRE is sent without a checksum',
};

function remedyFor(what: string, key: string, allowed: readonly string[]): string {
  const known = ELSEWHERE[`${what}/${key}`];
  return known === undefined ? didYouMean(key, allowed) : `: ${known}`;
}

function unknownKeys(issue: z.core.$ZodIssueUnrecognizedKeys, path: Path): PlacedProblem[] {
  const [what, keys] = issue.message.split('|') as [string, string];
  const allowed = keys.split(',');
  return issue.keys.map((key) =>
    problemAt([...path, key], `unknown key${remedyFor(what, key, allowed)} (${what} knows ${allowed.join(', ')})`),
  );
}

/** What is wrong with a port's `kind`, which decides everything else about it. */
export function wrongKind(kind: unknown): string {
  const built = `allowed: ${PORT_KINDS.join(', ')}`;
  if (kind === undefined) return `is missing (${built})`;
  if (typeof kind !== 'string') return `found ${shown(kind)} (${built})`;
  return `${shown(kind)} is not a kind of port${didYouMean(kind, PORT_KINDS)} (${built})`;
}

/** The same of a bond's member. */
function wrongMemberKind(kind: unknown): string {
  const allowed = `members can be ${MEMBER_KINDS.join(', ')}`;
  if (kind === undefined) return `is missing (${allowed})`;
  if ((PORT_KINDS as readonly unknown[]).includes(kind)) return `a ${kind} can’t be a member of a bond (${allowed})`;
  return `found ${shown(kind)}${typeof kind === 'string' ? didYouMean(kind, MEMBER_KINDS) : ''} (${allowed})`;
}

/** Lists that stand for nothing when they are empty, but can't be left out. */
const NEEDED_LISTS: readonly unknown[] = ['members', 'targets'];

function emptyList(path: Path): string {
  const needed = NEEDED_LISTS.includes(path.at(-1));
  return `is an empty list; ${needed ? 'it needs one entry at least' : 'leave the key out instead'}`;
}

/** zod reports a wrong discriminator with the whole port as its input. */
function kindOf(port: unknown): unknown {
  return typeof port === 'object' && port !== null ? (port as { kind?: unknown }).kind : undefined;
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
  record: 'a map',
};

function typeName(type: string): string {
  return TYPE_NAMES[type] ?? type;
}

function expected(issues: readonly Issue[]): string {
  const names = issues.map((issue) => {
    if (issue.code === 'invalid_type') return typeName(issue.expected);
    return issue.code === 'invalid_value' ? issue.values.map(String).join(', ') : issue.message;
  });
  return [...new Set(names)].join(' or ');
}

function found(input: unknown, allowed: string): string {
  return input === undefined ? `is missing (expected ${allowed})` : `found ${shown(input)}, expected ${allowed}`;
}

/** Of the branches of a union, the one whose shape the value has: its own issues are what the author wants to read. */
function unionProblems(issue: z.core.$ZodIssueInvalidUnion, path: Path): PlacedProblem[] {
  if (issue.errors.length === 0) {
    const ofMember = path.at(-3) === 'members' || path.at(-2) === 'members';
    return [problemAt(path, (ofMember ? wrongMemberKind : wrongKind)(kindOf(issue.input)))];
  }
  const fitting = issue.errors.find((branch) =>
    branch.every((inner) => inner.path.length > 0 || inner.code === 'custom' || inner.code === 'too_small'),
  );
  const strictBranch = issue.errors.find((branch) => branch.some((inner) => inner.code === 'unrecognized_keys'));
  const branch = fitting ?? strictBranch;
  if (branch !== undefined) return branch.flatMap((inner) => problemsOf(inner, path));
  return [problemAt(path, found(issue.input, expected(issue.errors.flat())))];
}

function listLength(value: unknown): number | string {
  return Array.isArray(value) ? value.length : 'so many';
}

/** The problems of one issue; `base` is where the checked value lies. */
export function problemsOf(issue: Issue, base: Path = []): PlacedProblem[] {
  const path = [...base, ...issue.path];
  switch (issue.code) {
    case 'unrecognized_keys':
      return unknownKeys(issue, path);
    case 'invalid_union':
      return unionProblems(issue, path);
    case 'invalid_type':
      return [problemAt(path, found(issue.input, typeName(issue.expected)))];
    case 'invalid_value': {
      const allowed = issue.values.map(String);
      const hint = typeof issue.input === 'string' ? didYouMean(issue.input, allowed) : '';
      return [problemAt(path, `${found(issue.input, allowed.join(', '))}${hint}`)];
    }
    case 'too_small':
      return [problemAt(path, emptyList(path))];
    case 'too_big':
      return [problemAt(path, `${listLength(issue.input)} entries are too many (at most ${issue.maximum})`)];
    default:
      return [problemAt(path, issue.message)];
  }
}

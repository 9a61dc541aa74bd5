/**
 * Writes a document back to its file: whole or not at all, and with as much of the author's comments and layout as
 * survives. Called by the running switch (`--save`, `Switch.save`) on the main thread.
 */
import { randomBytes } from 'node:crypto';
import {
  chownSync,
  closeSync,
  fchmodSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import {
  isMap,
  isNode,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  parseDocument,
  visit,
  type YAMLMap,
  type YAMLSeq,
  Document as YamlDocument,
} from 'yaml';
import { WeftError } from '../errors.ts';
import type { Document } from './document.ts';

type Json = Readonly<Record<string, unknown>>;

function sameJson(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Can a node be changed in place to hold `value`? A plain map or list can; an alias or a merged map can't. */
function mergeInto(yaml: YamlDocument, node: unknown, value: unknown): boolean {
  if (isMap(node) && typeof value === 'object' && value !== null && !Array.isArray(value)) {
    mergeMap(yaml, node, value as Json);
    return true;
  }
  if (isSeq(node) && Array.isArray(value)) {
    mergeList(yaml, node, value);
    return true;
  }
  return false;
}

/** A key as the document has it, where numbers are texts. */
function keyOf(yaml: YamlDocument, { key }: Pair): string {
  return String(isNode(key) ? key.toJS(yaml) : key);
}

/** A whole number among the keys (a VLAN) is written as one, without quotes. */
function written(key: string): string | number {
  return /^(0|[1-9]\d{0,8})$/.test(key) ? Number(key) : key;
}

function nodeOf(yaml: YamlDocument, value: unknown): Node {
  const node = yaml.createNode(value) as Node;
  visit(node, {
    Pair(_, { key }) {
      if (isScalar(key) && typeof key.value === 'string') key.value = written(key.value);
    },
  });
  return node;
}

function mergeMap(yaml: YamlDocument, map: YAMLMap, value: Json): void {
  for (const item of [...map.items]) if (!Object.hasOwn(value, keyOf(yaml, item))) map.delete(item.key);
  const pairs = new Map(map.items.map((item) => [keyOf(yaml, item), item]));
  for (const [key, wanted] of Object.entries(value)) {
    const pair = pairs.get(key);
    const node = pair?.value as unknown;
    if (isNode(node) && sameJson(node.toJS(yaml), wanted)) continue;
    if (isScalar(node) && (typeof wanted !== 'object' || wanted === null)) node.value = wanted;
    else if (mergeInto(yaml, node, wanted)) continue;
    else if (pair === undefined) map.add({ key: yaml.createNode(written(key)), value: nodeOf(yaml, wanted) });
    else pair.value = nodeOf(yaml, wanted);
  }
}

/** Items of a list are known by their name (bridges, ports); lists of anything else are kept item by item where equal. */
function identity(value: unknown): string {
  const name = (value as { name?: unknown } | null)?.name;
  return typeof name === 'string' ? `name:${name}` : JSON.stringify(value);
}

function mergeList(yaml: YamlDocument, list: YAMLSeq, value: readonly unknown[]): void {
  const old = new Map(list.items.filter(isNode).map((node) => [identity(node.toJS(yaml)), node]));
  list.items = value.map((wanted) => {
    const node = old.get(identity(wanted));
    if (node !== undefined && (sameJson(node.toJS(yaml), wanted) || mergeInto(yaml, node, wanted))) return node;
    const made = nodeOf(yaml, wanted);
    if (list.items.some((item) => isMap(item) && item.flow === true) && isMap(made)) made.flow = true;
    return made;
  });
}

/** YAML text of a document, keeping comments and layout of `original` where they still have a place. */
export function toYaml(document: Document, original: string | null = null): string {
  return (original === null ? null : merged(document, original)) ?? fresh(document);
}

function fresh(document: Document): string {
  const yaml = new YamlDocument();
  yaml.contents = nodeOf(yaml, document);
  return yaml.toString({ lineWidth: 120 });
}

/** Null where the original can't be changed in place: an alias whose anchor went, or a merge key, would say something else. */
function merged(document: Document, original: string): string | null {
  try {
    const yaml = parseDocument(original);
    if (yaml.errors.length > 0 || !isMap(yaml.contents)) return null;
    mergeMap(yaml, yaml.contents, document as Json);
    const text = yaml.toString({ lineWidth: 120 });
    return sameJson(sorted(parseDocument(text).toJS()), sorted(document)) ? text : null;
  } catch {
    return null;
  }
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}

/**
 * Writes `text` so that readers see the old file or the new one: a temporary file beside it, fsync, rename, fsync of the
 * directory. Keeps mode and owner; follows a symbolic link to the file that it names. Throws a WeftError `unwritable-file`.
 */
export function writeAtomically(file: string, text: string): void {
  const target = existing(file);
  const folder = dirname(target);
  const temporary = join(folder, `.${basename(target)}.${randomBytes(6).toString('hex')}`);
  try {
    const old = statSync(target, { throwIfNoEntry: false });
    const descriptor = openSync(temporary, 'wx', old === undefined ? 0o644 : old.mode & 0o7777);
    try {
      if (old !== undefined) keepOwnerAndMode(temporary, descriptor, old);
      writeAll(descriptor, Buffer.from(text, 'utf8'));
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, target);
    const directory = openSync(folder, 'r');
    fsyncSync(directory);
    closeSync(directory);
  } catch (error) {
    rmSync(temporary, { force: true });
    const message = `${file} was not written and is as it was: ${(error as Error).message}`;
    throw new WeftError('unwritable-file', message, { cause: error, hint: 'Is its folder writable, with space left?' });
  }
}

function existing(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}

/** The owner first: changing it clears mode bits. */
function keepOwnerAndMode(
  temporary: string,
  descriptor: number,
  old: { uid: number; gid: number; mode: number },
): void {
  const made = statSync(temporary);
  if (made.uid !== old.uid || made.gid !== old.gid) chownSync(temporary, old.uid, old.gid);
  fchmodSync(descriptor, old.mode & 0o7777);
}

function writeAll(descriptor: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
}

/** Saves a document over its file, keeping the comments of what is there. */
export function saveDocument(file: string, document: Document): void {
  let original: string | null = null;
  try {
    original = readFileSync(file, 'utf8');
  } catch {
    // A file that went away is written anew.
  }
  writeAtomically(file, toYaml(document, original));
}

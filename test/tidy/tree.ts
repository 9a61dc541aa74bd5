/** The source tree as plain values: what git tracks or would track, read once. The checks beside this file are pure functions of it. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

export interface Source {
  /** Relative to the root, with `/`. */
  readonly path: string;
  readonly text: string;
}

const BINARY = new Set(['.pcap', '.pcapng', '.png', '.gz', '.node', '.bin', '.ico']);
const BYTES_MAX = 4 << 20;

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Every tracked file and every new one that is not ignored, by path. Throws outside a git clone. */
export function listFiles(): string[] {
  const asked = ['-c', 'safe.directory=*', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const listed = spawnSync('git', asked, {
    cwd: ROOT,
    encoding: 'utf8',
  });
  if (listed.status !== 0) throw new Error(`git ls-files: ${listed.error?.message ?? listed.stderr.trim()}`);
  const paths = listed.stdout.split('\0').filter((path) => path !== '' && existsSync(join(ROOT, path)));
  return [...new Set(paths)].sort();
}

export function readSources(paths: readonly string[]): Source[] {
  return paths
    .filter((path) => !BINARY.has(extname(path)) && statSync(join(ROOT, path)).size <= BYTES_MAX)
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));
}

export function isScript(path: string): boolean {
  return path.endsWith('.ts') || path.endsWith('.mjs');
}

export function isCode(path: string): boolean {
  return isScript(path) || /\.(cc|h|py|sh)$/.test(path);
}

const parsed = new WeakMap<Source, ts.SourceFile>();

/** A file's syntax tree, with parents; parsed once. */
export function treeOf(source: Source): ts.SourceFile {
  const known = parsed.get(source);
  if (known !== undefined) return known;
  const kind = source.path.endsWith('.mjs') ? ts.ScriptKind.JS : ts.ScriptKind.TS;
  const tree = ts.createSourceFile(source.path, source.text, ts.ScriptTarget.ESNext, true, kind);
  parsed.set(source, tree);
  return tree;
}

/** `path:line says`, the form of every finding. */
export function findingAt(node: ts.Node, says: string): string {
  const tree = node.getSourceFile();
  const { line } = tree.getLineAndCharacterOfPosition(node.getStart(tree));
  return `${tree.fileName}:${line + 1} ${says}`;
}

/** Calls `visit` for a node and all below it. */
export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => walk(child, visit));
}

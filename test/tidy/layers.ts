/** Who may import whom. Imports only go down, and never in a circle. */
import { dirname, normalize } from 'node:path/posix';
import ts from 'typescript';
import { findingAt, isScript, type Source, treeOf } from './tree.ts';

interface Layer {
  readonly name: string;
  readonly holds: RegExp;
  /** What its files may import, beside the layer itself. */
  readonly from: readonly RegExp[];
  /** Bare imports: npm packages and node: modules. */
  readonly packages: 'none' | 'node' | 'any';
}

const LEAVES = /^dataplane\/(drop|limits|counters)\.ts$/;
const WIRE = /^dataplane\/wire\//;
const MEMORY = /^dataplane\/memory\//;
const TABLES = /^dataplane\/tables\//;
/** The words that control and worker exchange: types alone, so that what they mention stays out of control. */
const ORDERS = /^dataplane\/orders\.ts$/;
const BINDING = /^native\/binding\.ts$/;
const ANYTHING = /^/;

/** First match wins. */
const LAYERS: readonly Layer[] = [
  { name: 'leaves', holds: LEAVES, from: [MEMORY], packages: 'none' },
  { name: 'wire', holds: WIRE, from: [LEAVES], packages: 'node' },
  { name: 'memory', holds: MEMORY, from: [LEAVES], packages: 'node' },
  { name: 'tables', holds: TABLES, from: [LEAVES, MEMORY, WIRE], packages: 'none' },
  { name: 'path', holds: /^dataplane\/path\//, from: [LEAVES, TABLES, WIRE, MEMORY], packages: 'none' },
  { name: 'ports', holds: /^dataplane\/ports\//, from: [LEAVES, WIRE, MEMORY, BINDING], packages: 'any' },
  { name: 'worker', holds: /^dataplane\//, from: [/^dataplane\//, BINDING], packages: 'any' },
  { name: 'the build', holds: /^native\/[a-z]+\.mjs$/, from: [], packages: 'any' },
  {
    name: 'native',
    holds: /^native\//,
    from: [/^dataplane\/(limits|drop|memory\/(layout|tunnel-words))\.ts$/],
    packages: 'node',
  },
  {
    name: 'control',
    holds: /^control\//,
    from: [/^dataplane\/(drop|limits)\.ts$/, ORDERS, MEMORY, WIRE, /^dataplane\/tables\/[a-z-]+-layout\.ts$/, BINDING],
    packages: 'any',
  },
  { name: 'deploy', holds: /^deploy\//, from: [/^control\//, /^dataplane\/drop\.ts$/], packages: 'any' },
  { name: 'bench and test', holds: /^(bench|test)\//, from: [ANYTHING], packages: 'any' },
];

interface Import {
  readonly from: string;
  readonly line: number;
  /** A path below the root, or a bare name as it stands. */
  readonly to: string;
  readonly isBare: boolean;
}

export function importsOf(source: Source): Import[] {
  const lineOf = (at: number) => source.text.slice(0, at).split('\n').length;
  return ts.preProcessFile(source.text, true, true).importedFiles.map(({ fileName, pos }) => {
    const isBare = !fileName.startsWith('.');
    const to = isBare ? fileName : normalize(`${dirname(source.path)}/${fileName}`);
    return { from: source.path, line: lineOf(pos), to, isBare };
  });
}

function bareComplaint(layer: Layer, name: string): string | null {
  if (layer.packages === 'any' || (layer.packages === 'node' && name.startsWith('node:'))) return null;
  return `${layer.name} imports no ${layer.packages === 'node' ? 'packages' : 'modules of Node or packages'}`;
}

/** Imports that go up or sideways. */
export function layerFindings(sources: readonly Source[]): string[] {
  const findings: string[] = [];
  for (const source of sources) {
    const layer = LAYERS.find(({ holds }) => holds.test(source.path));
    if (layer === undefined || !isScript(source.path)) continue;
    for (const { line, to, isBare } of importsOf(source)) {
      const own = LAYERS.find(({ holds }) => holds.test(to)) === layer;
      const isAllowed = isBare ? bareComplaint(layer, to) === null : own || layer.from.some((from) => from.test(to));
      if (isAllowed) continue;
      const why = isBare ? bareComplaint(layer, to) : `${layer.name} must not import it`;
      findings.push(`${source.path}:${line} imports ${to}: ${why}`);
    }
  }
  return findings;
}

/** Imports by which orders.ts would bring code of the dataplane into control. */
export function orderFindings(sources: readonly Source[]): string[] {
  return sources
    .filter(({ path }) => ORDERS.test(path))
    .flatMap((source) => treeOf(source).statements.filter(ts.isImportDeclaration))
    .filter(({ importClause }) => importClause?.phaseModifier !== ts.SyntaxKind.TypeKeyword)
    .map((node) => findingAt(node, 'control imports this file, so it may import types only'));
}

/** Circles of imports, types included, each told once, from its first file by name. */
export function cycleFindings(sources: readonly Source[]): string[] {
  const edges = new Map(
    sources
      .filter(({ path }) => isScript(path))
      .map((source) => [source.path, importsOf(source).flatMap(({ to, isBare }) => (isBare ? [] : [to]))]),
  );
  const findings = new Set<string>();
  const done = new Set<string>();
  const visit = (path: string, above: readonly string[]): void => {
    const start = above.indexOf(path);
    if (start >= 0) {
      const circle = above.slice(start);
      const first = circle.indexOf([...circle].sort()[0]!);
      findings.add([...circle.slice(first), ...circle.slice(0, first), circle[first]].join(' → '));
      return;
    }
    if (done.has(path)) return;
    for (const to of edges.get(path) ?? []) visit(to, [...above, path]);
    done.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  return [...findings];
}

function packageOf(name: string): string {
  return name.split('/', name.startsWith('@') ? 2 : 1).join('/');
}

/** Packages that the running switch imports without depending on them. */
export function dependencyFindings(sources: readonly Source[], dependencies: readonly string[]): string[] {
  const shipped = sources.filter(({ path }) => /^(dataplane|native|control)\//.test(path) && path.endsWith('.ts'));
  return shipped.flatMap((source) =>
    importsOf(source)
      .filter(({ to, isBare }) => isBare && !to.startsWith('node:') && !dependencies.includes(packageOf(to)))
      .map(({ line, to }) => `${source.path}:${line} imports ${to}, which is not among the dependencies`),
  );
}

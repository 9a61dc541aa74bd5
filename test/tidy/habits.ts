/** Habits of the house that a look at the text or the syntax tree can check. */
import ts from 'typescript';
import { findingAt, isCode, isScript, type Source, treeOf, walk } from './tree.ts';

/** Tools that ask for a default export. */
const DEFAULT_EXPORT_ASKED = /\.config\.ts$/;

function syntaxComplaint(node: ts.Node): string | undefined {
  if (ts.isExportAssignment(node)) return 'a default export: name it';
  if (ts.isEnumDeclaration(node)) return 'an enum: use a closed set, `as const`';
  if (ts.isModuleDeclaration(node) && !ts.isStringLiteral(node.name)) return 'a namespace: use a module';
  if (ts.isParameter(node) && ts.isParameterPropertyDeclaration(node, node.parent))
    return 'a parameter property: write the field';
  if (ts.canHaveModifiers(node) && ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword)) {
    return 'a default export: name it';
  }
  return undefined;
}

/** Default exports, enums, namespaces, parameter properties. */
export function syntaxFindings(sources: readonly Source[]): string[] {
  const findings: string[] = [];
  for (const source of sources) {
    if (!isScript(source.path) || DEFAULT_EXPORT_ASKED.test(source.path)) continue;
    walk(treeOf(source), (node) => {
      const complaint = syntaxComplaint(node);
      if (complaint !== undefined) findings.push(findingAt(node, complaint));
    });
  }
  return findings;
}

interface Ban {
  readonly pattern: RegExp;
  readonly says: string;
  readonly where: (path: string) => boolean;
}

/** Patterns are written so that they don't match themselves. */
const BANS: readonly Ban[] = [
  {
    pattern: /\b(?:TO[D]O|FIX[M]E|XX[X]|HA[C]K)\b(?!.*\b(?:because|until|when|once)\b)/,
    says: 'a reminder without a reason: say until when, or do it',
    where: isCode,
  },
  { pattern: /\.\.\/share[d]\b/, says: 'points outside the clone', where: () => true },
  {
    pattern: /(?<![\w.~$}/-])\/(?:wor[k]|roo[t]|tm[p]|hom[e]\/\w+)(?:\/|\b(?![\w/-]))/,
    says: "an absolute path of somebody's machine: use os.tmpdir() or a path in the clone",
    where: () => true,
  },
  {
    pattern:
      /"resolve[d]":|\bregistr[y]\.[a-z0-9-]+\.[a-z]+|artifactor[y]|verdacci[o]|\b(?:pypi|nexus|proxy\.golang|deb\.debian)\.or[g]\b/i,
    says: "names a registry's host: leave that to the user's configuration",
    where: () => true,
  },
];

export function textFindings(sources: readonly Source[]): string[] {
  const findings: string[] = [];
  for (const { path, text } of sources) {
    const bans = BANS.filter(
      ({ where, pattern }) => where(path) && new RegExp(pattern, `${pattern.flags}m`).test(text),
    );
    if (bans.length === 0) continue;
    text.split('\n').forEach((line, index) => {
      for (const { pattern, says } of bans) if (pattern.test(line)) findings.push(`${path}:${index + 1} ${says}`);
    });
  }
  return findings;
}

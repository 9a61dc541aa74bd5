/**
 * The ban list of hot files: what allocates, calls into the engine or keeps it from inlining. Types are free, and so are closed sets:
 * a top-level `const X = { … } as const` is made once, at load.
 */
import ts from 'typescript';
import { findingAt, isScript, type Source, treeOf } from './tree.ts';

const HOT = /^\/\/ HOT: \S/;
const MUST_BE_HOT = /^dataplane\/path\/.*\.ts$/;

const BANNED_KINDS = new Map<ts.SyntaxKind, string>([
  [ts.SyntaxKind.ObjectLiteralExpression, 'an object literal'],
  [ts.SyntaxKind.ArrayLiteralExpression, 'an array literal'],
  [ts.SyntaxKind.ArrowFunction, 'a closure'],
  [ts.SyntaxKind.FunctionExpression, 'a closure'],
  [ts.SyntaxKind.SpreadElement, 'a spread'],
  [ts.SyntaxKind.SpreadAssignment, 'a spread'],
  [ts.SyntaxKind.ObjectBindingPattern, 'destructuring'],
  [ts.SyntaxKind.ArrayBindingPattern, 'destructuring'],
  [ts.SyntaxKind.ForOfStatement, 'for…of'],
  [ts.SyntaxKind.ForInStatement, 'for…in'],
  [ts.SyntaxKind.TryStatement, 'try'],
  [ts.SyntaxKind.StringLiteral, 'a string'],
  [ts.SyntaxKind.NoSubstitutionTemplateLiteral, 'a string'],
  [ts.SyntaxKind.TemplateExpression, 'a string'],
  [ts.SyntaxKind.RegularExpressionLiteral, 'a regular expression'],
  [ts.SyntaxKind.BigIntLiteral, 'a BigInt'],
  [ts.SyntaxKind.NewExpression, '`new`'],
  [ts.SyntaxKind.GetAccessor, 'a getter'],
  [ts.SyntaxKind.SetAccessor, 'a setter'],
  [ts.SyntaxKind.AwaitExpression, '`await`'],
  [ts.SyntaxKind.YieldExpression, '`yield`'],
  [ts.SyntaxKind.DeleteExpression, '`delete`'],
]);

const BANNED_NAMES = new Set([
  'BigInt',
  'Map',
  'Set',
  'WeakMap',
  'WeakSet',
  'Date',
  'console',
  'performance',
  'arguments',
  'JSON',
]);
const BANNED_METHODS = new Set([
  'subarray',
  'slice',
  'map',
  'filter',
  'forEach',
  'reduce',
  'push',
  'concat',
  'getBigUint64',
  'getBigInt64',
]);

export function isHot(source: Source): boolean {
  return isScript(source.path) && HOT.test(source.text);
}

/** `const X = { … } as const` at the top of a file. */
function isClosedSet(node: ts.Node): boolean {
  if (!ts.isVariableStatement(node) || !ts.isSourceFile(node.parent)) return false;
  return node.declarationList.declarations.every(
    ({ initializer }) =>
      initializer !== undefined && ts.isAsExpression(initializer) && initializer.type.getText() === 'const',
  );
}

function complaintAbout(node: ts.Node): string | undefined {
  const kind = BANNED_KINDS.get(node.kind);
  if (kind !== undefined) return kind;
  if (ts.isParameter(node) && node.initializer !== undefined) return 'a default argument';
  if (ts.isParameter(node) && node.dotDotDotToken !== undefined) return 'a rest argument';
  if (ts.isFunctionDeclaration(node) && !ts.isSourceFile(node.parent)) return 'a closure';
  if (ts.isIdentifier(node) && BANNED_NAMES.has(node.text)) return node.text;
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return undefined;
  const method = node.expression.name.text;
  return BANNED_METHODS.has(method) ? `.${method}()` : undefined;
}

export function hotFindings(sources: readonly Source[]): string[] {
  const findings: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isTypeNode(node) || ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node) || isClosedSet(node))
      return;
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return;
    if (ts.isExpressionStatement(node) && ts.isStringLiteral(node.expression)) return;
    const complaint = complaintAbout(node);
    if (complaint !== undefined) findings.push(findingAt(node, `${complaint} in a hot file`));
    ts.forEachChild(node, visit);
  };
  for (const source of sources) {
    if (isHot(source)) visit(treeOf(source));
    else if (MUST_BE_HOT.test(source.path))
      findings.push(`${source.path}:1 runs per frame: its first line must begin with // HOT: and say what it is`);
  }
  return findings;
}

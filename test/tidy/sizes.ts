/** Files and functions that fit a head: at most 400 lines and 70. */
import ts from 'typescript';
import { findingAt, isCode, isScript, type Source, treeOf, walk } from './tree.ts';

export const FILE_LINES_MAX = 400;
export const FUNCTION_LINES_MAX = 70;

/** Tables and recorded bytes are as long as they are. */
const TABLES = /^test\/golden\//;

function lineCount(text: string): number {
  return text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
}

/** The body of a `describe` is a list of tests, not a function that anybody calls. */
function isSuiteBody(node: ts.Node): boolean {
  return ts.isCallExpression(node.parent) && /^describe/.test(node.parent.expression.getText());
}

function nameOf(node: ts.SignatureDeclaration): string {
  if (node.name !== undefined) return node.name.getText();
  return ts.isVariableDeclaration(node.parent) ? node.parent.name.getText() : 'a function';
}

export function sizeFindings(sources: readonly Source[]): string[] {
  const findings: string[] = [];
  for (const source of sources) {
    if (!isCode(source.path) || TABLES.test(source.path)) continue;
    const lines = lineCount(source.text);
    if (lines > FILE_LINES_MAX)
      findings.push(`${source.path} has ${lines} lines; at most ${FILE_LINES_MAX}: split it by role`);
    if (!isScript(source.path)) continue;
    const tree = treeOf(source);
    walk(tree, (node) => {
      if (!ts.isFunctionLike(node) || !('body' in node) || node.body === undefined || isSuiteBody(node)) return;
      const length = lineCount(node.getText(tree));
      if (length > FUNCTION_LINES_MAX)
        findings.push(findingAt(node, `${nameOf(node)} has ${length} lines; at most ${FUNCTION_LINES_MAX}`));
    });
  }
  return findings;
}

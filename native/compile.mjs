/**
 * Compiles the project like `tsc -p`, and writes named integers into the code that uses them: `Fact.TAG` becomes `6`. Called by ready.mjs, in a process
 * of its own. V8 folds a constant of the same module, but loads one that was imported from its module's cell at every use, checks the
 * object's map and the number's kind, and can't fold the shift or the address that follows: a frame cost 1.3 times as much (bench/README.md).
 */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';

/** What binary operators of a constant's initialiser mean. */
const BINARY = new Map([
  [ts.SyntaxKind.PlusToken, (a, b) => a + b],
  [ts.SyntaxKind.MinusToken, (a, b) => a - b],
  [ts.SyntaxKind.AsteriskToken, (a, b) => a * b],
  [ts.SyntaxKind.SlashToken, (a, b) => a / b],
  [ts.SyntaxKind.AsteriskAsteriskToken, (a, b) => a ** b],
  [ts.SyntaxKind.LessThanLessThanToken, (a, b) => a << b],
  [ts.SyntaxKind.GreaterThanGreaterThanToken, (a, b) => a >> b],
  [ts.SyntaxKind.BarToken, (a, b) => a | b],
  [ts.SyntaxKind.AmpersandToken, (a, b) => a & b],
]);
const UNARY = new Map([
  [ts.SyntaxKind.MinusToken, (a) => -a],
  [ts.SyntaxKind.TildeToken, (a) => ~a],
]);

/** Answers a function from a node to the integer that it names, or undefined. */
function evaluator(checker) {
  const known = new Map();

  function ofDeclaration(declaration) {
    if (known.has(declaration)) return known.get(declaration);
    known.set(declaration, undefined);
    const value =
      ts.isVariableDeclaration(declaration) && isConst(declaration) ? ofInitializer(declaration) : undefined;
    known.set(declaration, value);
    return value;
  }

  const ofInitializer = ({ initializer }) => (initializer === undefined ? undefined : evaluate(initializer));

  function symbolOf(node) {
    const symbol = checker.getSymbolAtLocation(node);
    return symbol && symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  }

  function ofMember(node) {
    const member = symbolOf(node.name)?.valueDeclaration;
    if (member === undefined || !ts.isPropertyAssignment(member)) return undefined;
    const holder = member.parent.parent;
    if (!ts.isAsExpression(holder) || !ts.isConstTypeReference(holder.type)) return undefined;
    return ts.isVariableDeclaration(holder.parent) && isConst(holder.parent) ? evaluate(member.initializer) : undefined;
  }

  /** The value of an expression, or undefined when it isn't known before the program runs. */
  function evaluate(node) {
    if (ts.isNumericLiteral(node)) return Number(node.text);
    if (ts.isParenthesizedExpression(node) || ts.isAsExpression(node)) return evaluate(node.expression);
    if (ts.isIdentifier(node)) {
      const declaration = symbolOf(node)?.valueDeclaration;
      return declaration === undefined ? undefined : ofDeclaration(declaration);
    }
    if (ts.isPropertyAccessExpression(node)) return ofMember(node);
    if (ts.isPrefixUnaryExpression(node)) {
      const operand = evaluate(node.operand);
      return operand === undefined ? undefined : UNARY.get(node.operator)?.(operand);
    }
    if (!ts.isBinaryExpression(node)) return undefined;
    const left = evaluate(node.left);
    const right = evaluate(node.right);
    return left === undefined || right === undefined ? undefined : BINARY.get(node.operatorToken.kind)?.(left, right);
  }
  return evaluate;
}

function isConst(declaration) {
  const list = declaration.parent;
  return (
    ts.isVariableDeclarationList(list) &&
    (list.flags & ts.NodeFlags.Const) !== 0 &&
    ts.isVariableStatement(list.parent) &&
    ts.isSourceFile(list.parent.parent)
  );
}

/** Whether an identifier or property access stands where its value is read. */
function isRead(node) {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return false;
  if (ts.isBinaryExpression(parent) || ts.isElementAccessExpression(parent) || ts.isParenthesizedExpression(parent))
    return true;
  if (ts.isPrefixUnaryExpression(parent)) return UNARY.has(parent.operator);
  if (ts.isCallExpression(parent)) return parent.expression !== node;
  if (ts.isVariableDeclaration(parent)) return parent.initializer === node;
  if (ts.isReturnStatement(parent) || ts.isConditionalExpression(parent) || ts.isCaseClause(parent)) return true;
  return ts.isPropertyAssignment(parent) && parent.initializer === node;
}

/** Replaces what names an integer by that integer, with its name in a comment. */
function inliner(checker) {
  const evaluate = evaluator(checker);
  return (context) => (file) => {
    const visit = (node) => {
      if (ts.isTypeNode(node) || ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return node;
      if ((ts.isIdentifier(node) || ts.isPropertyAccessExpression(node)) && isRead(node)) {
        const value = evaluate(node);
        if (Number.isInteger(value)) return literal(value, node.getText(file));
      }
      return ts.visitEachChild(node, visit, context);
    };
    return ts.visitNode(file, visit);
  };
}

function literal(value, name) {
  const { factory } = ts;
  const digits = factory.createNumericLiteral(Math.abs(value));
  const number = value < 0 ? factory.createParenthesizedExpression(factory.createPrefixMinus(digits)) : digits;
  return ts.addSyntheticTrailingComment(number, ts.SyntaxKind.MultiLineCommentTrivia, ` ${name} `);
}

/**
 * Compiles the project in `root`; `overrides` are compiler options. Prints what is wrong, answers the exit code. Always all of it: an
 * incremental build would keep a constant's old value in files whose types didn't change.
 */
export function compile(root, overrides = {}) {
  const host = { ...ts.sys, onUnRecoverableConfigFileDiagnostic: report };
  const whole = { incremental: false, tsBuildInfoFile: undefined, ...overrides };
  const config = ts.getParsedCommandLineOfConfigFile(resolve(root, 'tsconfig.json'), whole, host);
  const program = ts.createProgram(config.fileNames, config.options);
  const found = config.options.noCheck ? [] : ts.getPreEmitDiagnostics(program);
  const before = [inliner(program.getTypeChecker())];
  const { diagnostics } = program.emit(undefined, undefined, undefined, false, { before });
  for (const diagnostic of [...found, ...diagnostics]) report(diagnostic);
  return found.length + diagnostics.length === 0 ? 0 : 1;
}

function report(diagnostic) {
  const host = {
    getCanonicalFileName: (name) => name,
    getCurrentDirectory: () => process.cwd(),
    getNewLine: () => '\n',
  };
  process.stderr.write(ts.formatDiagnostic(diagnostic, host));
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) process.exit(compile(resolve(process.argv[2] ?? '.')));

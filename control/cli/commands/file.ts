/**
 * `weft check` and `weft apply`: what a file says, without and with a running daemon.
 */
import type { Command } from 'commander';
import { DocumentError } from '../../errors.ts';
import type { ApplyResult } from '../../switch.ts';
import { type Context, clientOf, examples } from '../context.ts';
import { type Io, print, printError, printJson } from '../io.ts';
import { printResult } from './result.ts';

/** Validates as the daemon does; answers the exit code. */
async function check(io: Io, file: string, json: boolean): Promise<number> {
  const { loadFile } = await import('../../config/load.ts');
  try {
    const document = loadFile(file);
    const ports = document.bridges.reduce((total, bridge) => total + (bridge.ports?.length ?? 0), 0);
    if (json) printJson(io, { ok: true, bridges: document.bridges.length, ports, problems: [] });
    else print(io, `${file}: fine (bridges: ${document.bridges.length}, ports: ${ports})`);
    return 0;
  } catch (error) {
    if (!json || !(error instanceof DocumentError)) return printError(io, error, file);
    printJson(io, { ok: false, problems: error.problems });
    return error.exitCode;
  }
}

async function apply(context: Context, file: string, options: { dryRun?: boolean; json?: boolean }, self: Command) {
  const { readText } = await import('../../config/load.ts');
  const client = clientOf(context, self);
  const yaml = readText(file);
  try {
    const dryRun = options.dryRun === true;
    const result = await client.send<ApplyResult>('POST', '/v1/apply', { yaml, dryRun });
    printResult(context.io, result, options.json === true);
  } catch (error) {
    context.exitCode = printError(context.io, error, file);
  }
}

export function addFileCommands(program: Command, context: Context): void {
  const checking = program
    .command('check')
    .description('validate a file: every problem at once, with its place; needs no daemon')
    .argument('<file>', 'a document in YAML or JSON')
    .option('--json', 'problems as JSON')
    .action(async (file: string, options: { json?: boolean }) => {
      context.exitCode = await check(context.io, file, options.json === true);
    });
  examples(checking, ['check weft.yaml', 'exit code 0 when it is fine, 2 when not']);
  const applying = program
    .command('apply')
    .description('make the running switch as a file says; what did not change is not touched')
    .argument('<file>', 'a document in YAML or JSON')
    .option('--dry-run', 'only print the plan')
    .option('--json', 'the plan as JSON')
    .action((file: string, options: { dryRun?: boolean; json?: boolean }, self: Command) =>
      apply(context, file, options, self),
    );
  examples(applying, ['apply weft.yaml --dry-run', 'what would change'], ['apply weft.yaml', 'change it']);
}

/**
 * Prints what an apply did or would do, the same for files, ports and dry runs; and saves where that was asked for.
 */
import type { ApplyResult } from '../../switch.ts';
import type { Client } from '../client.ts';
import { type Colour, type Io, note, paint, print, printJson } from '../io.ts';

const SIGNS: Readonly<Record<string, readonly [string, Colour]>> = {
  add: ['+', 'green'],
  change: ['~', 'yellow'],
  delete: ['-', 'red'],
};

export function printResult(io: Io, result: ApplyResult, json: boolean): void {
  if (json) {
    printJson(io, result);
    return;
  }
  for (const warning of result.warnings) note(io, `${paint(io, 'yellow', 'warning:')} ${warning}`);
  for (const undone of result.undoes) {
    note(io, `${paint(io, 'yellow', 'unsaved:')} ${undone} ${result.applied ? 'was undone' : 'would be undone'}`);
  }
  for (const step of result.steps) {
    const [sign, colour] = SIGNS[step.verb] ?? ['?', 'dim'];
    print(io, paint(io, colour, `${sign} ${step.subject}${step.detail === '' ? '' : `  ${step.detail}`}`));
  }
  if (result.steps.length === 0) print(io, 'nothing to change');
  else if (!result.applied) print(io, 'dry run: nothing was changed');
}

export async function save(io: Io, client: Client): Promise<void> {
  const { file } = await client.send<{ file: string }>('POST', '/v1/save');
  note(io, `saved to ${file}`);
}

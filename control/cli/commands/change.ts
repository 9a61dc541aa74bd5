/**
 * `weft save` and `weft worker restart`.
 */
import { type Command, InvalidArgumentError } from 'commander';
import { type Context, clientOf, examples } from '../context.ts';
import { note, print, printJson } from '../io.ts';

function workerNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It is not the number of a worker.');
  return Number(text);
}

export function addChangeCommands(program: Command, context: Context): void {
  const saving = program
    .command('save')
    .description('write the running document back to the file that it came from')
    .option('--json', 'the file as JSON')
    .action(async (options: { json?: boolean }, self: Command) => {
      const answer = await clientOf(context, self).send<{ file: string }>('POST', '/v1/save');
      if (options.json === true) printJson(context.io, answer);
      else print(context.io, `saved to ${answer.file}`);
    });
  examples(saving, ['save', 'keep what `weft port` and `weft fdb` changed']);
  const worker = program.command('worker').description('forwarding workers (`weft show workers` shows them)');
  const restarting = worker
    .command('restart')
    .description('end a worker’s thread and start it again; the other workers’ traffic goes on')
    .argument('<number>', 'as `weft show workers` shows it', workerNumber)
    .action(async (index: number, _options: unknown, self: Command) => {
      await clientOf(context, self).send('POST', `/v1/workers/${index}/restart`);
      note(context.io, `worker ${index} is restarted`);
    });
  examples(restarting, ['worker restart 0', 'start worker 0 anew']);
  examples(worker, ['worker restart 0', 'start worker 0 anew']);
}

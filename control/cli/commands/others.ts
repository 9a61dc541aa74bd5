/** Every command beside `run` and `demo`, in the order of the help. Loaded by program.ts when `run` is not what was asked for. */
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { addBondCommands } from './bond.ts';
import { addChangeCommands } from './change.ts';
import { addCompletion } from './completion.ts';
import { addDoctorCommands } from './doctor.ts';
import { addFdbCommands } from './fdb.ts';
import { addFileCommands } from './file.ts';
import { addPortCommands } from './port.ts';
import { addShowCommand } from './show.ts';
import { addWatchCommands } from './watch.ts';

export function addOtherCommands(program: Command, context: Context): void {
  addFileCommands(program, context);
  addShowCommand(program, context);
  addPortCommands(program, context);
  addBondCommands(program, context);
  addFdbCommands(program, context);
  addDoctorCommands(program, context);
  addChangeCommands(program, context);
  addWatchCommands(program, context);
  addCompletion(program, context);
}

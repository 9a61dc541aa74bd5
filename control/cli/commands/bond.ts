/**
 * `weft bond member …`: orders to a running bond. They are no part of the document: a restart, or `enable`, takes them back.
 */
import type { Command } from 'commander';
import type { BondCommand, BondRow } from '../../switch.ts';
import { bondNamed } from '../bonds.ts';
import { type Context, clientOf, examples } from '../context.ts';
import { note } from '../io.ts';

const DONE: Readonly<Record<BondCommand, string>> = {
  enable: 'may carry again',
  disable: 'is taken out',
  activate: 'is to be the active one',
};

async function order(
  context: Context,
  command: BondCommand,
  text: string,
  member: string,
  self: Command,
): Promise<void> {
  const client = clientOf(context, self);
  const { bridge, name } = bondNamed(await client.get<BondRow[]>('/v1/bonds'), text);
  const path = `/v1/bonds/${encodeURIComponent(bridge)}/${encodeURIComponent(name)}/members/${encodeURIComponent(member)}`;
  await client.send('POST', path, { command });
  note(context.io, `member ${member} of ${bridge}/${name} ${DONE[command]}`);
}

function addOrder(
  members: Command,
  context: Context,
  name: BondCommand,
  what: string,
  ...lines: readonly (readonly [string, string])[]
): void {
  const command = members
    .command(name)
    .description(what)
    .argument('<bond>', 'as br0/up, or up where only one bridge has it')
    .argument('<member>', 'as `weft show bonds` names it')
    .action((bond: string, member: string, _options: unknown, self: Command) =>
      order(context, name, bond, member, self),
    );
  examples(command, ...lines);
}

export function addBondCommands(program: Command, context: Context): void {
  const bond = program.command('bond').description('orders to bonds (`weft show bonds` shows them)');
  const members = bond
    .command('member')
    .description('take a member out of its bond, let it in again, or make it the active one');
  addOrder(
    members,
    context,
    'disable',
    'take a member out: others carry before it ceases to, so that nothing is lost',
    ['bond member disable up eth1', 'before its cable is pulled'],
    ['bond member disable br0/up eth1', 'where several bridges have a bond up'],
  );
  addOrder(members, context, 'enable', 'let a member in again', ['bond member enable up eth1', 'when it is back']);
  addOrder(
    members,
    context,
    'activate',
    'make a member the active one, without loss: active-backup, balance-tlb, balance-alb, balance-slb',
    ['bond member activate up eth2', 'from now on it carries'],
  );
  for (const parent of [bond, members])
    examples(
      parent,
      ['bond member disable up eth1', 'take eth1 out, without loss'],
      ['bond member enable up eth1', 'and let it in again'],
      ['bond member activate up eth2', 'eth2 is to carry'],
    );
}

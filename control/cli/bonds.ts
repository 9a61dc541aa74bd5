/**
 * Bonds as people read them: a table of all, or one with everything that LACP knows. Called by `weft show bonds`; pure but for printing.
 */
import type { BondMemberRow, BondRow, LacpInfo } from '../switch.ts';
import { type Colour, type Io, paint, print } from './io.ts';
import { rowNamed } from './ports.ts';
import { type Column, tableLines } from './table.ts';
import { formatBitRate, formatBytes, formatCount } from './units.ts';

/** A line of the table: a bond, or one of its members. */
interface Line {
  readonly bond: BondRow;
  readonly member: BondMemberRow | null;
}

const STATE_COLOURS: Readonly<Record<BondMemberRow['state'], Colour | null>> = {
  active: 'green',
  enabled: 'green',
  standby: null,
  waiting: 'yellow',
  disabled: 'yellow',
  down: 'red',
};

function partnerText({ lacp }: BondMemberRow): string {
  if (lacp === null) return '';
  return lacp.partner === null ? 'no partner' : `${lacp.partner.system} key ${lacp.partner.key}`;
}

function ofMember(text: (member: BondMemberRow) => string): (line: Line) => string {
  return ({ member }) => (member === null ? '' : text(member));
}

const COLUMNS: readonly Column<Line>[] = [
  { title: 'BOND', text: ({ bond, member }) => (member === null ? `${bond.bridge}/${bond.name}` : `  ${member.name}`) },
  {
    title: 'STATE',
    text: ({ bond, member }) => member?.state ?? (bond.up ? 'up' : 'down'),
    colour: ({ bond, member }) => (member === null ? (bond.up ? 'green' : 'red') : STATE_COLOURS[member.state]),
  },
  { title: 'MODE', text: ({ bond, member }) => (member === null ? bond.mode : '') },
  { title: 'HASH', text: ({ bond, member }) => (member === null ? (bond.hash ?? '') : ''), drop: 4 },
  { title: 'ACTIVE', text: ({ bond, member }) => (member === null ? (bond.active ?? '') : ''), drop: 6 },
  { title: 'LINK', text: ofMember(({ link }) => (link ? 'up' : 'down')), drop: 5 },
  { title: 'SPEED', text: ofMember(({ speed }) => (speed === null ? '' : formatBitRate(speed))), right: true, drop: 3 },
  { title: 'BUCKETS', text: ofMember(({ buckets }) => (buckets === 0 ? '' : String(buckets))), right: true, drop: 7 },
  { title: 'LOAD', text: ofMember(({ load }) => (load === 0 ? '' : formatBitRate(load))), right: true, drop: 2 },
  {
    title: 'LACP',
    text: ({ bond, member }) => (member !== null ? partnerText(member) : bond.lacp === 'off' ? '' : bond.lacp),
    drop: 1,
  },
  { title: 'WHY', text: ({ bond, member }) => (member === null ? bond.reason : member.reason) ?? '' },
];

export function bondTable(bonds: readonly BondRow[], io: Pick<Io, 'colour' | 'width'>): string[] {
  const lines = bonds.flatMap((bond): Line[] => [
    { bond, member: null },
    ...bond.members.map((member) => ({ bond, member })),
  ]);
  const used = COLUMNS.filter((column) => lines.some((line) => column.text(line) !== ''));
  return tableLines(lines, used, io);
}

/** Finds the bond that is named `up` or `br0/up`. Throws a RequestError when none or several are. */
export function bondNamed(bonds: readonly BondRow[], text: string): BondRow {
  return rowNamed(bonds, 'bond', text);
}

function counted({ frames, bytes }: BondMemberRow['receive']): string {
  return `${formatCount(frames)} frames, ${formatBytes(bytes)}`;
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}

function sideText(info: LacpInfo): string {
  const { systemPriority, system, key, portPriority, port, state } = info;
  return `system ${system} (${systemPriority}), key ${key}, port ${port} (${portPriority}): ${state.join(' ') || 'nothing'}`;
}

function lacpPairs({ lacp }: BondMemberRow): [string, string][] {
  if (lacp === null) return [];
  const churned = [lacp.actorChurn === 'churn' ? 'ours' : '', lacp.partnerChurn === 'churn' ? 'the partner’s' : ''];
  return [
    ['aggregator', lacp.aggregator === null ? 'none' : String(lacp.aggregator)],
    ['machines', `receive ${lacp.receive}, mux ${lacp.mux}`],
    ['actor', sideText(lacp.actor)],
    ['partner', lacp.partner === null ? 'none' : sideText(lacp.partner)],
    ['churned', churned.filter((side) => side !== '').join(' and ')],
    ['LACPDUs', `${lacp.received} received, ${lacp.sent} sent, ${lacp.bad} bad, ${lacp.markers} markers answered`],
  ];
}

function memberPairs(member: BondMemberRow): [string, string][] {
  const { device, link, speed, failures, buckets, load, dropped } = member;
  const losses = Object.entries(dropped).map(([reason, frames]) => `${reason} ${formatCount(frames)}`);
  return [
    ['device', device ?? ''],
    [
      'link',
      `${link ? 'up' : 'down'}${speed === null ? '' : `, ${formatBitRate(speed)}`}, lost ${failures === 0 ? 'never' : times(failures)}`,
    ],
    ['share', buckets === 0 ? '' : `${buckets} of 256 buckets, ${formatBitRate(load)} of late`],
    ['received', counted(member.receive)],
    ['transmitted', counted(member.transmit)],
    ['dropped', losses.join(', ')],
    ...lacpPairs(member),
  ];
}

function printPairs(io: Io, pairs: readonly [string, string][], width: number): void {
  for (const [name, value] of pairs) if (value !== '') print(io, `  ${name.padEnd(width)}  ${value}`);
}

const NAME_WIDTH = 'transmitted'.length;

/** One bond in full. */
export function printBond(io: Io, bond: BondRow): void {
  const state = bond.up ? paint(io, 'green', 'up') : `${paint(io, 'red', 'down')}: ${bond.reason ?? 'unknown'}`;
  print(io, `${bond.bridge}/${bond.name} is ${state}`);
  const pairs: [string, string][] = [
    ['mode', bond.mode],
    ['hash', bond.hash ?? ''],
    ['mac', bond.mac],
    ['active', bond.active ?? ''],
    ['lacp', bond.lacp === 'off' ? '' : bond.lacp],
    ['failovers', String(bond.failovers)],
    ['moved', bond.moved === 0 ? '' : `${bond.moved} buckets, by rebalancing`],
  ];
  printPairs(io, pairs, NAME_WIDTH);
  for (const member of bond.members) {
    const colour = STATE_COLOURS[member.state];
    const is = colour === null ? member.state : paint(io, colour, member.state);
    print(io, `member ${member.name} is ${is}${member.reason === null ? '' : `: ${member.reason}`}`);
    printPairs(io, memberPairs(member), NAME_WIDTH);
  }
}

/**
 * What `weft port add --kind bond` takes, and the keys of the document that it means. Called by port.ts; the daemon checks what comes out as
 * it checks a file's.
 */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { HASH_POLICY_NAMES, LACP_MODE_NAMES, LACP_RATE_NAMES } from '../names.ts';
import { several, whole } from './option-values.ts';

export interface BondOptions {
  readonly member?: readonly Record<string, unknown>[];
  readonly hash?: string;
  readonly lacp?: string;
  readonly lacpRate?: string;
  readonly primary?: string;
  readonly minLinks?: number;
  readonly updelay?: number;
  readonly downdelay?: number;
  readonly arpSource?: readonly string[];
  readonly monitor?: readonly string[];
}

/** A value as YAML would read it, as far as members have such values. */
function readValue(key: string, text: string): string | number | boolean {
  if (key === 'priority' || key === 'queues') return /^\d+$/.test(text) ? Number(text) : text;
  return key === 'take-over' && (text === 'true' || text === 'false') ? text === 'true' : text;
}

/** `eth1,name=a,priority=1` as a member of the document; of a netdev unless it says otherwise. */
export function memberOf(text: string): Record<string, unknown> {
  const [first = '', ...rest] = text.split(',');
  const pairs = first.includes('=') ? [first, ...rest] : rest;
  const member: Record<string, unknown> = { kind: 'netdev' };
  if (!first.includes('=')) member.device = first;
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    if (at <= 0) throw new InvalidArgumentError(`"${pair}" is not key=value.`);
    const key = pair.slice(0, at);
    member[key] = readValue(key, pair.slice(at + 1));
  }
  return member;
}

function moreMembers(text: string, before: readonly Record<string, unknown>[] = []) {
  return [...before, memberOf(text)];
}

export function addBondOptions(command: Command): Command {
  return command
    .option(
      '--member <device[,key=value…]>',
      'bond: an interface, with name, priority, speed; other members as kind=socket,name=s,socket=/path; repeat it',
      moreMembers,
    )
    .addOption(new Option('--hash <policy>', 'bond: what a flow is').choices(HASH_POLICY_NAMES))
    .addOption(new Option('--lacp <mode>', 'bond of mode 802.3ad: who begins').choices(LACP_MODE_NAMES))
    .addOption(new Option('--lacp-rate <rate>', 'how often the partner shall send').choices(LACP_RATE_NAMES))
    .option('--primary <member>', 'bond: the member that is preferred')
    .option('--min-links <number>', 'bond: it is down with fewer members', whole)
    .option('--updelay <ms>', 'bond: a link must be up for so long', whole)
    .option('--downdelay <ms>', 'bond: and down for so long', whole)
    .option('--monitor <address>', 'bond: who must answer by a member that carries, may repeat', several)
    .option('--arp-source <address>', 'bond: its own address, may repeat', several);
}

/** Keys of a bond's document; undefined where nothing was given. */
export function bondKeys(options: BondOptions): Record<string, unknown> {
  const { member, hash, lacp, lacpRate, primary, minLinks, updelay, downdelay, arpSource, monitor } = options;
  const lacpKeys = {
    ...(lacp === undefined ? {} : { mode: lacp }),
    ...(lacpRate === undefined ? {} : { rate: lacpRate }),
  };
  return {
    members: member,
    hash,
    lacp: Object.keys(lacpKeys).length === 0 ? undefined : lacpKeys,
    primary,
    'min-links': minLinks,
    updelay,
    downdelay,
    'arp-source': arpSource,
    monitor: monitor === undefined ? undefined : { targets: monitor },
  };
}

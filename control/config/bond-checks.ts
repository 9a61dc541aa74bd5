/**
 * What of a bond no single value shows: keys that its mode doesn't know, members that clash or can't work together, a primary that is
 * none of them. Called by checks.ts; pure. That an interface or a socket is used once in the whole document is checked there, with ports.
 */
import { isIP } from 'node:net';
import { BONDS_MAX } from '../../dataplane/limits.ts';
import { parseIpv4Address, parseIpv6Address } from '../../dataplane/wire/text.ts';
import { BOND_MODES, type BondMode } from '../model/bond.ts';
import { DEFAULT_BOND_MODE, FLOW_MODES, SENDER_MODES } from '../model/bond-document.ts';
import { carriesVlan, vlanModel } from '../model/vlan.ts';
import { vlanSchema } from './document.ts';
import { FirstUse } from './first-use.ts';
import { type MemberOutline, type Outline, type PortOutline, recordOf, textOf, textsOf } from './outline.ts';
import { type PlacedProblem, placeOf, problemAt } from './problems.ts';
import { nameValue, parseSpeed } from './values.ts';

/** Bonds are numbered from 1 in the workers' tables. */
export const BONDS_COUNT_MAX = BONDS_MAX - 1;

const HASHING: readonly BondMode[] = [...FLOW_MODES, ...SENDER_MODES];
const WITH_ACTIVE: readonly BondMode[] = ['active-backup', ...SENDER_MODES];

/** Which modes know a key; a key that isn't here every mode knows. */
const KNOWN_BY: Readonly<Record<string, readonly BondMode[]>> = {
  hash: HASHING,
  'hash-seed': HASHING,
  'rebalance-interval': HASHING,
  primary: WITH_ACTIVE,
  'primary-reselect': WITH_ACTIVE,
  'packets-per-member': ['balance-rr'],
  lacp: ['802.3ad'],
  // There LACP watches, and an answer comes back by one member of the partner's choice (bonding.rst, arp_interval).
  monitor: BOND_MODES.filter((mode) => mode !== '802.3ad'),
};

/** The mode in force, or null where the document has something that is no mode. */
function modeOf({ raw }: PortOutline): BondMode | null {
  if (raw.mode === undefined) return DEFAULT_BOND_MODE;
  return BOND_MODES.find((mode) => mode === raw.mode) ?? null;
}

function named(mode: BondMode, written: unknown): string {
  return written === undefined ? `mode ${mode}, the default here,` : `mode ${mode}`;
}

function checkKeys({ raw, path, members }: PortOutline, mode: BondMode, problems: PlacedProblem[]): void {
  const by = named(mode, raw.mode);
  const unknown = (place: PlacedProblem['path'], modes: readonly BondMode[], more = '') =>
    problems.push(problemAt(place, `${by} does not know this key (modes that do: ${modes.join(', ')}${more})`));
  for (const [key, modes] of Object.entries(KNOWN_BY))
    if (raw[key] !== undefined && !modes.includes(mode)) unknown([...path, key], modes);
  for (const member of members)
    if (member.raw.priority !== undefined && mode !== '802.3ad')
      unknown([...member.path, 'priority'], ['802.3ad'], '; elsewhere the bond’s primary prefers a member');
  if (SENDER_MODES.includes(mode) && textOf(raw.hash) !== null && raw.hash !== 'vlan+srcmac') {
    const text = `${by} keeps each sender on one member: its only hash is vlan+srcmac`;
    problems.push(problemAt([...path, 'hash'], `${text} (modes for ${raw.hash}: ${FLOW_MODES.join(', ')})`));
  }
}

function checkNames({ members }: PortOutline, problems: PlacedProblem[]): void {
  const names = new FirstUse(problems);
  const devices = new Set<string>();
  for (const { name, raw, path, kind } of members) {
    if (name === null) {
      if (kind === 'netdev' && raw.name === undefined && raw.device === undefined)
        problems.push(problemAt([...path, 'device'], 'is missing: the interface, as eth1'));
      continue;
    }
    if (raw.name !== undefined) names.use(name, [...path, 'name'], `the member name "${name}"`);
    else if (!nameValue.safeParse(name).success)
      problems.push(problemAt([...path, 'name'], `is missing, and the device "${name}" can’t stand for it`));
    // An interface that is a member twice is told where devices are compared.
    else if (!devices.has(name)) names.use(name, [...path, 'device'], `the member name "${name}", from its device,`);
    devices.add(textOf(raw.device) ?? '');
  }
}

function checkPrimary({ raw, path, members }: PortOutline, problems: PlacedProblem[]): void {
  const names = members.flatMap(({ name }) => name ?? []);
  const primary = textOf(raw.primary);
  if (primary !== null && !names.includes(primary))
    problems.push(problemAt([...path, 'primary'], `"${primary}" is not a member (members: ${names.join(', ')})`));
  if (raw['primary-reselect'] !== undefined && raw.primary === undefined)
    problems.push(problemAt([...path, 'primary-reselect'], 'needs a primary: the member that is preferred'));
}

function checkCounts({ raw, path, members }: PortOutline, problems: PlacedProblem[]): void {
  const minLinks = raw['min-links'];
  if (typeof minLinks === 'number' && members.length > 0 && minLinks > members.length) {
    const text = `${minLinks} is more than the bond has members (${members.length}): it could never be up`;
    problems.push(problemAt([...path, 'min-links'], text));
  }
}

function checkLacp({ raw, path }: PortOutline, problems: PlacedProblem[]): void {
  const { fallback, strict } = recordOf(raw.lacp);
  if (fallback === true && strict === true) {
    const text = 'true forbids what fallback: true asks for: to carry frames without a partner; leave one of them out';
    problems.push(problemAt([...path, 'lacp', 'strict'], text));
  }
}

/**
 * An aggregator's links have one speed (IEEE 802.1AX 6.3.5), so that with two speeds one of them would stand idle. Who wants that, or
 * knows better, says so by `lacp.select` or `lacp.key`. Only what the document states is known here; links' own speeds show in `weft show bonds`.
 */
function checkSpeeds({ raw, members }: PortOutline, problems: PlacedProblem[]): void {
  const lacp = recordOf(raw.lacp);
  if (lacp.select !== undefined || lacp.key !== undefined) return;
  const bits = ({ raw: { speed } }: MemberOutline) =>
    typeof speed === 'string' || typeof speed === 'number' ? parseSpeed(speed) : null;
  const first = members.find((member) => bits(member) !== null);
  const other = members.find((member) => bits(member) !== null && bits(member) !== bits(first!));
  if (first === undefined || other === undefined) return;
  const text = `${other.raw.speed} beside ${first.raw.speed} at ${placeOf([...first.path, 'speed'])}`;
  const remedy =
    'lacp.select (stable, bandwidth, count) says which links shall carry, one lacp.key for all takes them together';
  problems.push(problemAt([...other.path, 'speed'], `${text}: LACP joins links of one speed only; ${remedy}`));
}

/** One text for all spellings of an address (RFC 4291, 2.2); what is none, which the schema tells, stands for itself. */
function addressKey(text: string): string {
  const family = text.includes('%') ? 0 : isIP(text);
  if (family === 0) return text;
  return (family === 4 ? parseIpv4Address : parseIpv6Address)(text).join(' ');
}

function checkAddresses({ raw, path }: PortOutline, problems: PlacedProblem[]): void {
  const families = new FirstUse(problems);
  const sources = textsOf(raw['arp-source']);
  for (const source of sources) {
    const family = isIP(source);
    if (family !== 0) families.use(String(family), [...path, 'arp-source'], `an IPv${family} address`, 'one is enough');
  }
  const own = sources.map(addressKey);
  const targets = new FirstUse(problems);
  for (const [i, target] of textsOf(recordOf(raw.monitor).targets).entries()) {
    const place = [...path, 'monitor', 'targets', i];
    const key = addressKey(target);
    targets.use(key, place, `the target ${target}`);
    if (own.includes(key))
      problems.push(problemAt(place, `${target} is the bond’s own address (arp-source): it would never answer`));
  }
}

/** Probes of a VLAN that the bond doesn't carry would reach nobody. */
function checkMonitorVlan({ raw, path }: PortOutline, problems: PlacedProblem[]): void {
  const { vlan } = recordOf(raw.monitor);
  const parsed = vlanSchema.optional().safeParse(raw.vlan);
  if (typeof vlan !== 'number' || vlan === 0 || !parsed.success || carriesVlan(vlanModel(parsed.data), vlan)) return;
  problems.push(problemAt([...path, 'monitor', 'vlan'], `the bond does not carry VLAN ${vlan}`));
}

export function checkBonds(outline: Outline, problems: PlacedProblem[]): void {
  const bonds = outline.ports.filter(({ kind }) => kind === 'bond');
  const beyond = bonds[BONDS_COUNT_MAX];
  if (beyond !== undefined)
    problems.push(problemAt(beyond.path, `is one bond too many (at most ${BONDS_COUNT_MAX} in one daemon)`));
  for (const bond of bonds) {
    const mode = modeOf(bond);
    if (mode !== null) checkKeys(bond, mode, problems);
    checkNames(bond, problems);
    if (mode !== null && WITH_ACTIVE.includes(mode)) checkPrimary(bond, problems);
    checkCounts(bond, problems);
    if (mode === '802.3ad') {
      checkLacp(bond, problems);
      checkSpeeds(bond, problems);
    }
    checkAddresses(bond, problems);
    checkMonitorVlan(bond, problems);
  }
}

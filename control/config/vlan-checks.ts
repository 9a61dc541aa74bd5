/**
 * Which keys of `vlan` go together: the mode decides. Called by checks.ts for every port; pure.
 * Modes and defaults are Open vSwitch's (ovs-vswitchd.conf.db(5), table Port, "VLAN Configuration"), except that what it
 * ignores with a warning in its log (trunks on an access port, cvlans elsewhere) is an error here.
 */
import { carriesVlan, defaultVlanMode, vlanModel } from '../model/vlan.ts';
import { type VlanDocument, type VlanMode, vlanSchema } from './document.ts';
import { listOf, type PortOutline, recordOf } from './outline.ts';
import { type PlacedProblem, problemAt } from './problems.ts';

const KEYS: Readonly<Record<VlanMode, { readonly needs: readonly string[]; readonly takes: readonly string[] }>> = {
  access: { needs: ['tag'], takes: [] },
  trunk: { needs: [], takes: ['trunks'] },
  'native-tagged': { needs: ['tag'], takes: ['trunks'] },
  'native-untagged': { needs: ['tag'], takes: ['trunks'] },
  'dot1q-tunnel': { needs: ['tag'], takes: ['cvlans', 'ethertype'] },
};

function modesThatTake(key: string): string {
  const modes = Object.entries(KEYS).filter(([, keys]) => [...keys.needs, ...keys.takes].includes(key));
  return modes.map(([mode]) => mode).join(', ');
}

/** Problems of one port's `vlan`; a value of the wrong type is the schema's affair. */
export function checkVlan(port: PortOutline, problems: PlacedProblem[]): void {
  const raw = recordOf(port.raw.vlan);
  const path = [...port.path, 'vlan'];
  const written = raw.mode;
  if (written !== undefined && !(typeof written === 'string' && Object.hasOwn(KEYS, written))) return;
  if (written === undefined && raw.tag !== undefined && raw.trunks !== undefined) {
    const choice = 'access, which carries no trunks (Open vSwitch’s default), native-tagged or native-untagged';
    problems.push(problemAt(path, `has tag and trunks but no mode; write which is meant: ${choice}`));
    return;
  }
  const mode = (written as VlanMode | undefined) ?? defaultVlanMode(raw.tag !== undefined);
  const { needs, takes } = KEYS[mode];
  for (const key of needs) {
    if (raw[key] === undefined) problems.push(problemAt([...path, key], `is missing: mode ${mode} needs it (1–4094)`));
  }
  for (const key of ['tag', 'trunks', 'cvlans', 'ethertype']) {
    if (raw[key] === undefined || needs.includes(key) || takes.includes(key)) continue;
    const by = written === undefined ? `mode ${mode}, the default here,` : `mode ${mode}`;
    problems.push(problemAt([...path, key], `${by} does not know this key (modes that do: ${modesThatTake(key)})`));
  }
  checkEntries(port, problems);
}

/** A static entry in a VLAN that its port doesn't carry could never be used. */
function checkEntries(port: PortOutline, problems: PlacedProblem[]): void {
  if (port.raw.fdb === undefined) return;
  const parsed = vlanSchema.optional().safeParse(port.raw.vlan);
  if (!parsed.success) return;
  const vlan = vlanModel(parsed.data as VlanDocument | undefined);
  if (vlan.mode !== 'trunk' && vlan.tag === null) return;
  for (const [i, entry] of listOf(port.raw.fdb).entries()) {
    const of = recordOf(entry).vlan;
    if (typeof of !== 'number' || carriesVlan(vlan, of)) continue;
    problems.push(problemAt([...port.path, 'fdb', i, 'vlan'], `the port does not carry VLAN ${of}`));
  }
}

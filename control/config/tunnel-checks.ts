/**
 * What of a tunnel no single value shows: keys that exclude or need each other, addresses that don't fit together, static entries behind
 * nobody. Called by checks.ts for the whole document; pure. What two tunnels owe each other is tunnel-clashes.ts' affair.
 */
import { isTunnelKind } from '../model/tunnel.ts';
import { FirstUse } from './first-use.ts';
import { listOf, type Outline, type PortOutline, recordOf } from './outline.ts';
import { type PlacedProblem, problemAt } from './problems.ts';
import { checkTunnelClashes } from './tunnel-clashes.ts';
import { type UnderlayAddress, underlayAddress } from './underlay-address.ts';
import { checkUnderlays } from './underlay-checks.ts';

function checkNetwork({ raw, path, kind }: PortOutline, problems: PlacedProblem[]): void {
  if (kind === 'gre') return;
  if (raw.vni === undefined && raw.vlans === undefined)
    problems.push(problemAt([...path, 'vni'], 'is missing: one VNI for the port, or vlans: a VNI for each VLAN'));
  if (raw.vlans === undefined) return;
  if (raw.vni !== undefined)
    problems.push(problemAt([...path, 'vni'], 'cannot stand beside vlans, which has a VNI for each VLAN: keep one'));
  if (raw.vlan !== undefined) {
    const text = 'cannot stand beside vlans: the port is then a trunk of the VLANs that vlans names; leave it out';
    problems.push(problemAt([...path, 'vlan'], text));
  }
}

function checkLocal({ raw, path }: PortOutline, local: UnderlayAddress, problems: PlacedProblem[]): void {
  const why = local.group ? 'is a multicast group' : local.wrong;
  if (why === null) return;
  problems.push(problemAt([...path, 'local'], `${raw.local} ${why}: local is an address of this machine`));
}

/** What is wrong with an address as a far machine's, or null. */
function wrongRemote(remote: UnderlayAddress, local: UnderlayAddress | null): string | null {
  const { text, family } = remote;
  if (remote.group) return `${text} is a multicast group: write it as group, with the device by which it is reached`;
  if (remote.wrong !== null) return `${text} ${remote.wrong}: a remote is another machine`;
  if (local === null) return null;
  if (text === local.text) return `${text} is the tunnel’s own address (local): a remote is another machine`;
  if (family !== local.family) {
    const remedy = 'a tunnel has one family, make another port for the other';
    return `${text} is IPv${family} and local is IPv${local.family}: ${remedy}`;
  }
  if (remote.loopback === local.loopback) return null;
  const inside = remote.loopback ? text : `local ${local.text}`;
  return `${inside} never leaves this machine, and ${remote.loopback ? `local ${local.text}` : text} is outside of it`;
}

function checkRemotes({ raw, path }: PortOutline, local: UnderlayAddress | null, problems: PlacedProblem[]): void {
  const each = new FirstUse(problems);
  for (const [i, written] of listOf(raw.remotes).entries()) {
    const remote = underlayAddress(written);
    if (remote === null) continue;
    const place = [...path, 'remotes', i];
    const wrong = wrongRemote(remote, local);
    if (wrong === null) each.use(remote.text, place, `the remote ${remote.text}`, 'it would get every flood twice');
    else problems.push(problemAt(place, wrong));
  }
}

function checkGroup({ raw, path }: PortOutline, local: UnderlayAddress | null, problems: PlacedProblem[]): void {
  if (raw.group !== undefined && raw.device === undefined)
    problems.push(problemAt([...path, 'device'], 'is missing: the interface by which the group is reached, as eth0'));
  if (raw.device !== undefined && raw.group === undefined) {
    const text = 'goes with a group only, which is missing; remotes are reached as the kernel routes them';
    problems.push(problemAt([...path, 'device'], text));
  }
  const group = underlayAddress(raw.group);
  if (group === null) return;
  const place = [...path, 'group'];
  const groups = 'IPv4: 224.0.0.0–239.255.255.255, IPv6: ff00::/8';
  if (!group.group)
    problems.push(problemAt(place, `${group.text} is not a multicast group (${groups}); a machine stands in remotes`));
  else if (local !== null && group.family !== local.family)
    problems.push(problemAt(place, `${group.text} is IPv${group.family} and local is IPv${local.family}`));
}

/** The VLANs of `vlans`, or null where the port has none. */
function mapped({ raw }: PortOutline): ReadonlySet<string> | null {
  return raw.vlans === undefined ? null : new Set(Object.keys(recordOf(raw.vlans)));
}

function checkEntries(port: PortOutline, local: UnderlayAddress | null, problems: PlacedProblem[]): void {
  const vlans = mapped(port);
  for (const [i, entry] of listOf(port.raw.fdb).entries()) {
    const raw = recordOf(entry);
    const place = [...port.path, 'fdb', i];
    const remote = underlayAddress(raw.remote);
    const wrong = remote === null ? null : wrongRemote(remote, local);
    if (wrong !== null) problems.push(problemAt([...place, 'remote'], wrong));
    if (raw.remote === undefined) {
      const text = 'is missing: behind which remote the address is (it need not be among remotes)';
      problems.push(problemAt([...place, 'remote'], text));
    }
    if (raw.vni !== undefined && port.kind === 'gre')
      problems.push(
        problemAt([...place, 'vni'], 'is for vxlan and geneve: all that a gre port sends has the port’s key'),
      );
    if (vlans === null || vlans.has(String(raw.vlan))) continue;
    const text = raw.vlan === undefined ? 'is missing' : `the port does not carry VLAN ${raw.vlan}`;
    problems.push(problemAt([...place, 'vlan'], `${text} (VLANs of its vlans: ${[...vlans].slice(0, 20).join(', ')})`));
  }
}

/** Far sides are for tunnels only. */
function checkOthersEntries({ raw, path, kind }: PortOutline, problems: PlacedProblem[]): void {
  for (const [i, entry] of listOf(raw.fdb).entries()) {
    for (const key of ['remote', 'vni']) {
      if (recordOf(entry)[key] === undefined) continue;
      const text = `is for static entries of tunnels (vxlan, geneve, gre); this port is of kind ${kind ?? 'nothing'}`;
      problems.push(problemAt([...path, 'fdb', i, key], text));
    }
  }
}

export function checkTunnels(outline: Outline, problems: PlacedProblem[]): void {
  for (const port of outline.ports) {
    if (!isTunnelKind(port.kind)) {
      checkOthersEntries(port, problems);
      continue;
    }
    const local = underlayAddress(port.raw.local);
    checkNetwork(port, problems);
    if (local !== null) checkLocal(port, local, problems);
    checkRemotes(port, local, problems);
    if (port.kind !== 'gre') checkGroup(port, local, problems);
    checkEntries(port, local, problems);
  }
  checkTunnelClashes(outline, problems);
  checkUnderlays(outline, problems);
}

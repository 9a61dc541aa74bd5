/**
 * What a schema cannot see: names and devices used twice, CPUs that are not there, addresses that do not fit together.
 * Called by load.ts with the outline of a document, sound or not; pure, the machine's facts are passed in.
 */
import { BlockList, isIP } from 'node:net';
import { normalMac } from '../model/mac.ts';
import { DEFAULT_FDB_LIMIT } from '../model/model.ts';
import { checkBonds } from './bond-checks.ts';
import { FirstUse } from './first-use.ts';
import {
  deviceOf,
  leavesOf,
  listOf,
  type MemberOutline,
  type Outline,
  type PortOutline,
  recordOf,
  textOf,
  textsOf,
} from './outline.ts';
import { checkPatches } from './patch-checks.ts';
import { type PlacedProblem, problemAt } from './problems.ts';
import { checkSockets } from './socket-checks.ts';
import { checkTakeOvers } from './take-over-checks.ts';
import { checkTunnels } from './tunnel-checks.ts';
import { wrongAddress, wrongDeviceName } from './values.ts';
import { checkVlan } from './vlan-checks.ts';

/** What the checks need to know of this machine. */
export interface Host {
  /** CPUs that this process may run on, or null to skip the check. */
  readonly cpus: readonly number[] | null;
}

const ONE_USE = 'an interface is a port, or a member of one bond';

function useDevice(devices: FirstUse, port: MemberOutline, ofBond: boolean): void {
  const device = deviceOf(port);
  if (device === null) return;
  const netns = port.kind === 'tap' ? textOf(port.raw.netns) : null;
  const path = [...port.path, port.raw.device === undefined ? 'name' : 'device'];
  const what = `the device "${device}"${netns === null ? '' : ` in ${netns}`}`;
  devices.use(`${netns ?? ''}/${device}`, path, what, ofBond ? ONE_USE : null);
}

function checkNames(outline: Outline, problems: PlacedProblem[]): void {
  const bridges = new FirstUse(problems);
  const devices = new FirstUse(problems);
  const macs = new FirstUse(problems);
  for (const bridge of outline.bridges) {
    if (bridge.name !== null) bridges.use(bridge.name, [...bridge.path, 'name'], `the bridge name "${bridge.name}"`);
    const ports = new FirstUse(problems);
    for (const port of bridge.ports) {
      if (port.name !== null) ports.use(port.name, [...port.path, 'name'], `the port name "${port.name}"`);
      useDevice(devices, port, false);
      for (const member of port.members) useDevice(devices, member, true);
      const mac = normalMac(textOf(port.raw.mac) ?? '');
      if (mac !== null) macs.use(`${bridge.name}/${mac}`, [...port.path, 'mac'], mac);
    }
  }
}

function checkDeviceDefault(port: MemberOutline, problems: PlacedProblem[]): void {
  if (deviceOf(port) === null || port.raw.device !== undefined || port.name === null) return;
  const wrong = wrongDeviceName(port.name);
  if (wrong === null) return;
  problems.push(problemAt([...port.path, 'device'], `is missing, and the name can’t stand for it: ${wrong}`));
}

function wellFormed(address: string): boolean {
  return wrongAddress(address) === null;
}

/** Does `network` (an address with prefix) hold `address`? Both are well formed. */
function holds(network: string, address: string): boolean {
  const [base, prefix] = network.split('/') as [string, string];
  if (isIP(base) !== isIP(address)) return false;
  const list = new BlockList();
  const family = isIP(base) === 4 ? 'ipv4' : 'ipv6';
  list.addSubnet(base, Number(prefix), family);
  return list.check(address, family);
}

function checkAddresses(port: PortOutline, gateways: FirstUse, problems: PlacedProblem[]): void {
  const { raw, path } = port;
  if (raw.address !== undefined && raw.addresses !== undefined) {
    problems.push(problemAt([...path, 'addresses'], 'cannot stand beside address: one of them takes the whole list'));
  }
  const addresses = [...textsOf(raw.address), ...textsOf(raw.addresses)];
  const each = new FirstUse(problems);
  for (const address of addresses)
    each.use(address, [...path, raw.address === undefined ? 'addresses' : 'address'], address);
  const mtu = typeof raw.mtu === 'number' ? raw.mtu : 1500;
  if (mtu < 1280 && addresses.some((address) => address.includes(':'))) {
    problems.push(
      problemAt([...path, 'mtu'], `${mtu} is below what IPv6 needs (1,280), and the port has an IPv6 address`),
    );
  }
  for (const gateway of textsOf(raw.gateway)) {
    const family = isIP(gateway);
    if (family === 0 || !addresses.every(wellFormed)) continue;
    gateways.use(`${textOf(raw.netns) ?? ''}/${family}`, [...path, 'gateway'], `a default gateway for IPv${family}`);
    const linkLocal = gateway.toLowerCase().startsWith('fe80:');
    if (linkLocal || addresses.some((address) => holds(address, gateway))) continue;
    problems.push(
      problemAt(
        [...path, 'gateway'],
        `${gateway} is in none of the port’s networks (${addresses.join(', ') || 'no address'})`,
      ),
    );
  }
}

function checkStaticEntries(outline: Outline, problems: PlacedProblem[]): void {
  for (const bridge of outline.bridges) {
    const entries = new FirstUse(problems);
    for (const port of bridge.ports) {
      const tag = recordOf(port.raw.vlan).tag;
      for (const [i, entry] of listOf(port.raw.fdb).entries()) {
        const raw = recordOf(entry);
        const mac = normalMac(textOf(raw.mac) ?? '');
        const vlan = typeof raw.vlan === 'number' ? raw.vlan : typeof tag === 'number' ? tag : 0;
        if (mac !== null) entries.use(`${vlan}/${mac}`, [...port.path, 'fdb', i], `${mac} in VLAN ${vlan}`);
      }
    }
  }
}

function checkWorkers(outline: Outline, host: Host, problems: PlacedProblem[]): void {
  const { count, cpus } = outline.workers;
  if (!Array.isArray(cpus)) return;
  const seen = new FirstUse(problems);
  for (const [i, cpu] of cpus.entries()) {
    if (typeof cpu !== 'number') continue;
    const path = ['workers', 'cpus', i];
    seen.use(String(cpu), path, `CPU ${cpu}`);
    if (host.cpus !== null && Number.isInteger(cpu) && cpu >= 0 && !host.cpus.includes(cpu)) {
      problems.push(problemAt(path, `CPU ${cpu} is not one that this process may use (${host.cpus.join(', ')})`));
    }
  }
  if (cpus.length === 0) problems.push(problemAt(['workers', 'cpus'], 'is an empty list; leave the key out instead'));
  else if (typeof count === 'number' && cpus.length < count) {
    problems.push(problemAt(['workers', 'cpus'], `${cpus.length} CPUs for ${count} workers (at least one for each)`));
  }
}

/** The addresses of all bridges lie in one database, of which the arena has room for so many beside anything else. */
export const FDB_LIMITS_MAX = 16_777_216;

function checkLimits(outline: Outline, problems: PlacedProblem[]): void {
  let sum = 0;
  for (const bridge of outline.bridges) {
    sum += bridge.fdbLimit ?? DEFAULT_FDB_LIMIT;
    if (sum <= FDB_LIMITS_MAX) continue;
    const text = `with this bridge the fdb-limits add up to ${sum.toLocaleString('en')}`;
    problems.push(
      problemAt(
        [...bridge.path, 'fdb-limit'],
        `${text} (at most ${FDB_LIMITS_MAX.toLocaleString('en')} in one daemon)`,
      ),
    );
    return;
  }
}

/** Every problem of a document that no single value shows, in the document's order per check. */
export function crossChecks(outline: Outline, host: Host): PlacedProblem[] {
  const problems: PlacedProblem[] = [];
  checkWorkers(outline, host, problems);
  checkNames(outline, problems);
  checkLimits(outline, problems);
  for (const port of leavesOf(outline.ports)) checkDeviceDefault(port, problems);
  const gateways = new FirstUse(problems);
  for (const port of outline.ports) {
    checkVlan(port, problems);
    if (port.kind === 'tap') checkAddresses(port, gateways, problems);
    if (port.kind === 'pcap' && port.raw.read === undefined && port.raw.write === undefined) {
      problems.push(problemAt(port.path, 'a pcap port needs read, write or both'));
    }
  }
  checkStaticEntries(outline, problems);
  checkPatches(outline, problems);
  checkSockets(outline, problems);
  checkTakeOvers(outline, problems);
  checkBonds(outline, problems);
  checkTunnels(outline, problems);
  return problems;
}

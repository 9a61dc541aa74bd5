/**
 * What tunnels of one document owe each other. What arrives at a local address and UDP port is told apart by its VNI alone, so that each
 * belongs to one port; and by nothing else is it known whether it is VXLAN or Geneve. Called by tunnel-checks.ts; pure.
 */
import { REMOTES_MAX, VNIS_MAX } from '../../dataplane/limits.ts';
import { isTunnelKind, type TunnelKind } from '../model/tunnel.ts';
import { DEFAULT_TUNNEL_PORTS } from '../model/tunnel-document.ts';
import { FirstUse } from './first-use.ts';
import { listOf, type Outline, type PortOutline, recordOf } from './outline.ts';
import { type PlacedProblem, placeOf, problemAt } from './problems.ts';
import { underlayAddress } from './underlay-address.ts';

type Place = readonly (string | number)[];

/** VNIs or keys of a port, each with its place; a GRE tunnel without a key has the key null. */
function networksOf({ raw, path, kind }: PortOutline): [place: Place, vni: number | null][] {
  if (kind === 'gre') {
    if (raw.key === undefined) return [[path, null]];
    return typeof raw.key === 'number' ? [[[...path, 'key'], raw.key]] : [];
  }
  if (raw.vlans === undefined) return typeof raw.vni === 'number' ? [[[...path, 'vni'], raw.vni]] : [];
  return Object.entries(recordOf(raw.vlans)).flatMap(([vlan, vni]): [Place, number][] =>
    typeof vni === 'number' ? [[[...path, 'vlans', vlan], vni]] : [],
  );
}

function networkText(kind: TunnelKind, vni: number | null): string {
  if (kind !== 'gre') return `VNI ${vni}`;
  return vni === null ? 'GRE without a key' : `the key ${vni}`;
}

/** Where a port's datagrams arrive. */
interface Endpoint {
  readonly kind: TunnelKind;
  readonly address: string;
  readonly port: number;
}

function endpointOf({ raw, kind }: PortOutline): Endpoint | null {
  const address = underlayAddress(raw.local);
  if (address === null || !isTunnelKind(kind)) return null;
  const port = kind === 'gre' || raw.port === undefined ? DEFAULT_TUNNEL_PORTS[kind] : raw.port;
  return typeof port === 'number' ? { kind, address: address.text, port } : null;
}

function endpointText({ kind, address, port }: Endpoint): string {
  return kind === 'gre' ? address : `${address}, UDP port ${port}`;
}

/** One UDP port of one address has one kind. */
class Kinds {
  readonly #first = new Map<string, { readonly kind: TunnelKind; readonly path: Place }>();
  readonly #problems: PlacedProblem[];
  constructor(problems: PlacedProblem[]) {
    this.#problems = problems;
  }
  use(endpoint: Endpoint, { path, raw }: PortOutline): void {
    const { kind, address, port } = endpoint;
    if (kind === 'gre') return;
    const key = `${address}/${port}`;
    const first = this.#first.get(key);
    if (first === undefined) this.#first.set(key, { kind, path });
    if (first === undefined || first.kind === kind) return;
    const text = `${endpointText(endpoint)} is that of a ${first.kind} tunnel at ${placeOf(first.path)}`;
    const place = [...path, raw.port === undefined ? 'local' : 'port'];
    this.#problems.push(problemAt(place, `${text}: give this ${kind} tunnel another port or local`));
  }
}

/** Destinations that a port's document names: each remote, the group, each remote of a static entry with its VNI. */
function destinationsOf({ raw }: PortOutline): number {
  const entries = listOf(raw.fdb).map((entry) => `${recordOf(entry).remote}/${recordOf(entry).vni ?? ''}`);
  const remotes = listOf(raw.remotes).map((remote) => `${remote}/`);
  return new Set([...remotes, ...entries]).size + (raw.group === undefined ? 0 : 1);
}

function checkSums(tunnels: readonly PortOutline[], problems: PlacedProblem[]): void {
  let [vnis, remotes] = [0, 0];
  for (const tunnel of tunnels) {
    const [had, hadRemotes] = [vnis, remotes];
    vnis += networksOf(tunnel).length;
    remotes += destinationsOf(tunnel);
    if (had <= VNIS_MAX && vnis > VNIS_MAX)
      problems.push(problemAt(tunnel.path, `has more VNIs than are left (at most ${VNIS_MAX} in one daemon)`));
    if (hadRemotes <= REMOTES_MAX && remotes > REMOTES_MAX)
      problems.push(problemAt(tunnel.path, `has more remotes than are left (at most ${REMOTES_MAX} in one daemon)`));
  }
}

export function checkTunnelClashes(outline: Outline, problems: PlacedProblem[]): void {
  const tunnels = outline.ports.filter(({ kind }) => isTunnelKind(kind));
  const networks = new FirstUse(problems);
  const kinds = new Kinds(problems);
  for (const tunnel of tunnels) {
    const endpoint = endpointOf(tunnel);
    if (endpoint === null) continue;
    kinds.use(endpoint, tunnel);
    const { kind, address, port } = endpoint;
    for (const [place, vni] of networksOf(tunnel)) {
      const remedy = `what arrives would belong to two; choose another ${kind === 'gre' ? 'key' : 'VNI'} or local`;
      const what = `${networkText(kind, vni)} at ${endpointText(endpoint)}`;
      networks.use(`${kind}/${address}/${port}/${vni}`, place, what, remedy);
    }
  }
  checkSums(tunnels, problems);
}

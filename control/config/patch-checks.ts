/**
 * Patch ports join bridges in pairs. Refused: a peer that isn't there or doesn't point back, a bridge joined to itself,
 * and a cycle of bridges, which would carry every broadcast round for ever (there is no spanning tree). Called by checks.ts; pure.
 */
import { type Outline, type PortOutline, textOf } from './outline.ts';
import { type PlacedProblem, problemAt } from './problems.ts';

function fullName(port: PortOutline): string | null {
  return port.bridge === null || port.name === null ? null : `${port.bridge}/${port.name}`;
}

/** The other side of a patch, once everything about the pair is right; problems of it otherwise. */
function peerOf(
  port: PortOutline,
  byName: ReadonlyMap<string, PortOutline>,
  problems: PlacedProblem[],
): PortOutline | null {
  const path = [...port.path, 'peer'];
  const wanted = textOf(port.raw.peer);
  if (wanted === null || !/^[^/\s]+\/[^/\s]+$/.test(wanted)) return null;
  const peer = byName.get(wanted);
  if (peer === undefined) {
    problems.push(problemAt(path, `there is no port ${wanted} in this document`));
    return null;
  }
  if (peer === port || peer.bridge === port.bridge) {
    problems.push(problemAt(path, `${wanted} is in the same bridge: a patch joins two bridges`));
    return null;
  }
  if (peer.kind !== 'patch') {
    problems.push(problemAt(path, `${wanted} is of kind ${peer.kind ?? 'nothing'}, not patch`));
    return null;
  }
  const back = textOf(peer.raw.peer);
  if (back === fullName(port)) return peer;
  problems.push(
    problemAt(path, `${wanted} does not point back: its peer is ${back ?? 'missing'}, not ${fullName(port)}`),
  );
  return null;
}

/** The bridges on the way from one to another over the patches so far, both ends included, or null. */
function wayBetween(edges: ReadonlyMap<string, readonly string[]>, from: string, to: string): string[] | null {
  const cameFrom = new Map<string, string>([[from, from]]);
  const queue = [from];
  for (const at of queue) {
    if (at === to) break;
    for (const next of edges.get(at) ?? []) {
      if (cameFrom.has(next)) continue;
      cameFrom.set(next, at);
      queue.push(next);
    }
  }
  if (!cameFrom.has(to)) return null;
  const way = [to];
  while (way[0] !== from) way.unshift(cameFrom.get(way[0]!)!);
  return way;
}

export function checkPatches(outline: Outline, problems: PlacedProblem[]): void {
  const byName = new Map<string, PortOutline>();
  for (const port of outline.ports) {
    const name = fullName(port);
    if (name !== null && !byName.has(name)) byName.set(name, port);
  }
  const edges = new Map<string, string[]>();
  const done = new Set<PortOutline>();
  for (const port of outline.ports) {
    if (port.kind !== 'patch') continue;
    const peer = peerOf(port, byName, problems);
    if (peer === null || done.has(peer)) continue;
    done.add(port);
    const [a, b] = [port.bridge!, peer.bridge!];
    const way = wayBetween(edges, b, a);
    if (way !== null) {
      const cycle = [a, ...way].join(' → ');
      problems.push(
        problemAt([...port.path, 'peer'], `closes a cycle of bridges, in which frames would circle: ${cycle}`),
      );
      continue;
    }
    edges.set(a, [...(edges.get(a) ?? []), b]);
    edges.set(b, [...(edges.get(b) ?? []), a]);
  }
}

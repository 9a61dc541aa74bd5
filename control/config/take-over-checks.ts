/**
 * Whether a netdev port that is taken over has a tap port to which its host's addresses and routes can move. Called by checks.ts; pure.
 */
import { FirstUse } from './first-use.ts';
import { type BridgeOutline, leavesOf, type Outline, type PortOutline } from './outline.ts';
import { type PlacedProblem, problemAt } from './problems.ts';

/** What the host's TAP gets from the interface, and so must not have in the document. */
const GIVEN = ['address', 'addresses', 'gateway', 'mac'] as const;

function hostTap(bridge: BridgeOutline): PortOutline | undefined {
  return bridge.ports.find((port) => port.kind === 'tap' && port.raw.netns === undefined);
}

export function checkTakeOvers(outline: Outline, problems: PlacedProblem[]): void {
  for (const bridge of outline.bridges) {
    const uses = new FirstUse(problems);
    const tap = hostTap(bridge);
    let taken = false;
    for (const port of leavesOf(bridge.ports)) {
      if (port.kind !== 'netdev' || port.raw['take-over'] !== true) continue;
      const path = [...port.path, 'take-over'];
      if (tap === undefined) {
        const text = 'needs a tap port without netns in this bridge, to which addresses and routes can move';
        problems.push(problemAt(path, text));
        continue;
      }
      uses.use(tap.name ?? '', path, `taking over into the tap port "${tap.name}"`);
      if (taken) continue;
      taken = true;
      for (const key of GIVEN) {
        if (tap.raw[key] === undefined) continue;
        problems.push(
          problemAt(
            [...tap.path, key],
            `comes from ${port.name ?? 'the netdev port'}, which is taken over: leave it out`,
          ),
        );
      }
    }
  }
}

// What a bench asks weft about its bond, and tells it, over the API.
import { setTimeout as sleep } from 'node:timers/promises';
import { BRIDGE, type Weft } from '../peers/weft-daemon.ts';
import { type Cables, UPLINK } from './bond-site.ts';

/** What `GET /v1/bonds` answers, as far as a bench reads it. */
export interface BondAnswer {
  readonly name: string;
  readonly active: string | null;
  readonly failovers: number;
  readonly members: readonly {
    readonly name: string;
    readonly state: string;
    readonly link: boolean;
    readonly lacp: { readonly received: number } | null;
  }[];
}

export interface BondView {
  readonly running: Weft;
  readonly cables: Cables;
  ask(): Promise<BondAnswer>;
}

export function bondView(running: Weft, cables: Cables): BondView {
  return {
    running,
    cables,
    ask: async () => {
      const rows = (await running.request('GET', '/v1/bonds')) as readonly BondAnswer[];
      const found = rows.find(({ name }) => name === UPLINK);
      if (found === undefined) throw new Error(`weft has no bond ${UPLINK}`);
      return found;
    },
  };
}

/** The far end of a member's cable. */
export function farOf(view: BondView, member: string): string {
  return view.cables.far[Number(member.slice(1))]!;
}

/** Asks until the bond is as `right` says; throws after `seconds`. */
export async function waitForBond(
  view: BondView,
  what: string,
  right: (bond: BondAnswer) => boolean,
  seconds = 10,
  pauseMs = 20,
): Promise<BondAnswer> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const bond = await view.ask();
    if (right(bond)) return bond;
    if (performance.now() > end)
      throw new Error(
        `the bond was not ${what} within ${seconds} s: ${JSON.stringify(bond.members.map((m) => m.state))}`,
      );
    await sleep(pauseMs);
  }
}

/** The active member, once there is one and every member could be. */
export async function waitForActive(view: BondView): Promise<string> {
  const ready = (bond: BondAnswer) =>
    bond.active !== null && bond.members.every(({ state }) => ['active', 'enabled', 'standby'].includes(state));
  return (await waitForBond(view, 'whole', ready)).active!;
}

/** Makes `member` the active one, as `weft bond member activate` does. */
export async function activate(view: BondView, member: string): Promise<void> {
  const path = `/v1/bonds/${BRIDGE}/${UPLINK}/members/${member}`;
  await view.running.request('POST', path, { command: 'activate' });
}

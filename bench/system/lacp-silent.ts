// Scenario lacp-silent: 802.3ad with Open vSwitch, fast rate; Open vSwitch is stopped right after an LACPDU, its links stay up. How long until
// no member carries. IEEE 802.1AX 6.4.4: three seconds (Short_Timeout_Time) after the last LACPDU.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startDatabase } from '../peers/ovs-database.ts';
import type { Measurement } from '../row.ts';
import { bondPort, makeCables, startOn } from './bond-site.ts';
import { type BondAnswer, type BondView, bondView, waitForBond } from './bond-view.ts';
import { onSite, type Scenario } from './context.ts';
import { Daemon, missingCommand } from './process.ts';
import { addNamespace, type Site } from './site.ts';

const SHORT_TIMEOUT_S = 3;
const POLL_MS = 2;
const TOOLS = ['ovs-vsctl', 'ovs-vswitchd', 'ovsdb-tool', 'ovsdb-server'];

export const lacpSilent: Scenario = {
  name: 'lacp-silent',
  about: 'LACP with Open vSwitch, fast: seconds from its last LACPDU until the members are out',
  weftOnly: true,
  run: async (context) => {
    const missing = missingCommand(TOOLS, 'openvswitch-switch');
    if (missing !== null) {
      context.skip(`lacp-silent: ${missing}`);
      return [];
    }
    const values: number[] = [];
    for (let index = 0; index < context.pairs; index++) {
      const seconds = await onSite(context, false, silentOnce);
      context.progress(`lacp-silent ${index + 1}/${context.pairs}: ${seconds.toFixed(3)} s`);
      if (seconds < SHORT_TIMEOUT_S - 0.1) throw new Error(`out after ${seconds.toFixed(3)} s: too early`);
      values.push(seconds);
    }
    const row: Measurement = {
      ...{ scenario: 'lacp-silent', variant: 'fast: members out', subject: 'weft', against: '', unit: 's' },
      ...{ how: 'absolute', worst: true, pairs: values.map((subject) => ({ subject, against: null })) },
      note: 'the standard says 3 s; the time between two questions (2 ms) is in it',
    };
    return [row];
  },
};

async function silentOnce(site: Site): Promise<number> {
  const space = await addNamespace(`${site.prefix}-s`, site.cleanup);
  const cables = await makeCables(site, space, 2);
  const pid = await startPartner(site, space, cables.far);
  const lacp = { mode: 'active', rate: 'fast' };
  const port = bondPort(cables, { mode: '802.3ad', lacp });
  const running = await startOn(site, port);
  const view = bondView(running, cables);
  await waitForBond(view, 'negotiated', (bond) => bond.members.every(({ state }) => state === 'enabled'), 20);
  await sleep(1000);
  await nextLacpdu(view);
  const from = performance.now();
  process.kill(pid, 'SIGSTOP');
  const silent = (bond: BondAnswer) => bond.members.every(({ state }) => state !== 'enabled');
  await waitForBond(view, 'given up', silent, 10, POLL_MS);
  const seconds = (performance.now() - from) / 1000;
  process.kill(pid, 'SIGCONT');
  await running.stop();
  return seconds;
}

/** Resolves right after an LACPDU came in by the last member, whose turn is after the first's. */
async function nextLacpdu(view: BondView): Promise<void> {
  const received = (bond: BondAnswer) => bond.members.at(-1)!.lacp!.received;
  const before = received(await view.ask());
  await waitForBond(view, 'spoken to', (bond) => received(bond) > before, 5, POLL_MS);
}

/** Open vSwitch with a bond over the cables' far ends; answers the daemon's pid. */
async function startPartner(site: Site, space: string, far: readonly string[]): Promise<number> {
  const folder = join(site.folder, 'ovs');
  mkdirSync(folder);
  const { database, env, vsctl } = await startDatabase({ ...site, folder });
  const daemon = new Daemon(['ovs-vswitchd', database], site.cleanup, { namespace: space, env });
  // A stopped process doesn't hear SIGTERM.
  site.cleanup.defer('letting Open vSwitch go on', () => (daemon.running ? process.kill(daemon.pid, 'SIGCONT') : true));
  await vsctl('add-br', 'sw0', '--', 'set', 'bridge', 'sw0', 'datapath_type=netdev');
  const settings = ['lacp=active', 'bond_mode=balance-tcp', 'other_config:lacp-time=fast'];
  await vsctl('add-bond', 'sw0', 'bond0', ...far, ...settings);
  return daemon.pid;
}

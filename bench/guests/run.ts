// The guests level of `npm run bench`: chooses switches and scenarios, runs one scenario after the other, returns rows.
import { availableParallelism } from 'node:os';
import { dpdkPatch } from '../peers/dpdk-patch.ts';
import type { GuestSwitch } from '../peers/guest-switch.ts';
import { ovsDpdk } from '../peers/ovs-dpdk.ts';
import { weftGuests } from '../peers/weft-guests.ts';
import { makeRow, type Row } from '../row.ts';
import { Cleanup, cleanUpAll, cleanUpOnSignals, reasonOf } from '../system/cleanup.ts';
import { runInTurn, type SystemOptions, type SystemResult } from '../system/run.ts';
import { removeStale } from '../system/site.ts';
import type { GuestContext, GuestScenario } from './context.ts';
import { framesScenario } from './frames.ts';
import { takeHugePages } from './huge-pages.ts';
import { guestsIdle } from './idle.ts';
import { guestsProfile } from './profile.ts';
import { GUEST_HUGE_PAGES, guestsMissing } from './testpmd.ts';
import { guestsVlan } from './vlan.ts';

export const GUEST_SWITCHES: readonly GuestSwitch[] = [weftGuests, ovsDpdk, dpdkPatch];

export const GUEST_SCENARIOS: readonly GuestScenario[] = [
  ...[64, 512, 1518, 9000].map(framesScenario),
  guestsVlan,
  guestsIdle,
  guestsProfile,
];

/** Why the guests level can't run here at all, or null. */
export function guestsUnavailable(): string | null {
  if (process.platform !== 'linux') return 'it needs Linux';
  if (process.getuid?.() !== 0) return 'it needs root, for huge pages (micro and path run without)';
  if (availableParallelism() < 2) return 'it needs two CPUs: one for the guests, one for the switch';
  return guestsMissing();
}

/** The element of that name; throws an Error that lists the names. */
function byName<T extends { readonly name: string }>(what: string, things: readonly T[], name: string): T {
  const found = things.find((thing) => thing.name === name);
  if (found !== undefined) return found;
  throw new Error(`no ${what} is called ${name}; there are: ${things.map((thing) => thing.name).join(', ')}`);
}

/** The scenarios of these names, in the order of the table; all without names. */
export function chooseGuestScenarios(only: readonly string[]): GuestScenario[] {
  const wanted = only.map((name) => byName('scenario', GUEST_SCENARIOS, name));
  return GUEST_SCENARIOS.filter((scenario) => only.length === 0 || wanted.includes(scenario));
}

/** Runs the scenarios. Throws an Error on wrong names or when nothing can run; a scenario that fails is left out with its reason. */
export async function runGuests(options: SystemOptions): Promise<SystemResult> {
  const reason = guestsUnavailable();
  if (reason !== null) throw new Error(`bench guests: ${reason}`);
  const scenarios = chooseGuestScenarios(options.only);
  const subject = byName('switch', GUEST_SWITCHES, options.subject);
  const wanted = options.against.map((name) => byName('switch', GUEST_SWITCHES, name));
  const skipped: string[] = [];
  const skip = (text: string) => {
    skipped.push(text);
    options.progress(`left out: ${text}`);
  };
  const others: GuestSwitch[] = [];
  for (const other of wanted.length > 0 ? wanted : GUEST_SWITCHES) {
    if (other === subject) continue;
    const missing = await other.available();
    if (missing === null) others.push(other);
    else skip(`${other.name}: ${missing}`);
  }
  const missing = await subject.available();
  if (missing !== null) throw new Error(`bench guests: ${subject.name}: ${missing}`);
  cleanUpOnSignals(options.progress);
  await removeStale(options.progress);
  try {
    const most = Math.max(...[subject, ...others].map((one) => one.hugePages));
    takeHugePages(GUEST_HUGE_PAGES + most, new Cleanup());
    const context = { ...options, subject, others, skip };
    return await runInTurn(scenarios, skipped, options, (scenario) => runScenario(scenario, context));
  } finally {
    for (const problem of await cleanUpAll()) options.progress(`left behind: ${problem}`);
  }
}

async function runScenario(scenario: GuestScenario, context: GuestContext): Promise<Row[]> {
  if (scenario.weftOnly && context.subject !== weftGuests) {
    context.skip(`${scenario.name}: only weft can run it`);
    return [];
  }
  context.progress(`${scenario.name}: ${scenario.about}`);
  try {
    return (await scenario.run(context)).map(makeRow);
  } catch (error) {
    context.skip(`${scenario.name}: ${reasonOf(error)}`);
    return [];
  }
}

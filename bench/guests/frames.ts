// Scenarios guests-64, -512, -1518 and -9000: frames that two guests keep going, both ways at once, through every switch in turn.
import { type GuestSwitch, SWITCH_CPU } from '../peers/guest-switch.ts';
import type { Measurement } from '../row.ts';
import { median } from '../statistics.ts';
import { reasonOf } from '../system/cleanup.ts';
import { alone, betweenGuests, type GuestContext, type GuestScenario } from './context.ts';
import { cpuDistance, isOneDistance } from './distance.ts';
import { type PingPong, pingPong, pingPongText } from './ping-pong.ts';
import { GUEST_CPU, segments } from './testpmd.ts';

const VARIANT = 'vhost-user ↔ vhost-user';

/** One switch's measurement, and how far the CPUs were apart before and after it (ns). */
interface Sample extends PingPong {
  readonly apart: readonly [number, number];
}

/** The scenario for frames of that many bytes, without FCS. */
export function framesScenario(frameBytes: number): GuestScenario {
  const name = `guests-${frameBytes}`;
  const parts = segments(frameBytes).length;
  const how = parts === 1 ? '' : `, each in ${parts} buffers`;
  return {
    name,
    about: `frames of ${frameBytes} bytes between two guests, both ways${how}`,
    weftOnly: false,
    run: async (context) => {
      const switches = [context.subject, ...context.others].filter((one) => {
        const fits = one.frameBytesMax >= frameBytes;
        if (!fits) context.skip(`${name} against ${one.name}: it is set up for ${one.frameBytesMax} bytes at most`);
        return fits;
      });
      return rows(name, switches, await measureInTurn(context, name, switches, frameBytes));
    },
  };
}

/** A B C A B C …; a switch that fails once is left out with its reason, the subject's failure is the scenario's. */
async function measureInTurn(
  context: GuestContext,
  name: string,
  switches: readonly GuestSwitch[],
  frameBytes: number,
): Promise<Map<GuestSwitch, Sample[]>> {
  const samples = new Map(switches.map((one) => [one, [] as Sample[]]));
  for (let round = 0; round < context.pairs; round++) {
    for (const [one, before] of samples) {
      try {
        const sample = await measureOnce(context, one, frameBytes);
        before.push(sample);
        const apart = sample.apart.map((ns) => ns.toFixed(0)).join(', then ');
        context.progress(
          `${name}, ${one.name}, ${round + 1}/${context.pairs}: ${pingPongText(sample)}; CPUs ${apart} ns apart`,
        );
      } catch (error) {
        if (one === context.subject) throw error;
        context.skip(`${name} against ${one.name}: ${reasonOf(error)}`);
        samples.delete(one);
      }
    }
  }
  return samples;
}

async function measureOnce(context: GuestContext, one: GuestSwitch, frameBytes: number): Promise<Sample> {
  const before = await cpuDistance(GUEST_CPU, SWITCH_CPU);
  const measured = await betweenGuests(
    context,
    { count: 2, frameBytes },
    (place, sockets) => one.join(place, sockets, frameBytes),
    (guests, joined) => pingPong(guests, joined, context.seconds),
  );
  return { ...measured, apart: [before, await cpuDistance(GUEST_CPU, SWITCH_CPU)] };
}

/** What the pairs say in which both were measured at one distance of the CPUs. */
function atOneDistance(own: readonly Sample[], theirs: readonly Sample[]): string {
  const ratios = own.flatMap((sample, k) => {
    const other = theirs[k]!;
    return isOneDistance([...sample.apart, ...other.apart]) ? [sample.rate / other.rate] : [];
  });
  const said = ratios.length > 0 ? `: ${median(ratios).toPrecision(3)}×` : '';
  return `${ratios.length} of ${own.length} pairs at one distance of the CPUs${said}`;
}

function rows(scenario: string, switches: readonly GuestSwitch[], samples: Map<GuestSwitch, Sample[]>): Measurement[] {
  const subject = switches[0]!;
  const own = samples.get(subject)!;
  const note = `${subject.name}: ${pingPongText(own.at(-1)!)} in the last round`;
  const found: Measurement[] = [];
  for (const other of switches.slice(1)) {
    const theirs = samples.get(other);
    if (theirs === undefined) continue;
    const pairs = own.map(({ rate }, index) => ({ subject: rate, against: theirs[index]!.rate }));
    const told = `${note}; ${atOneDistance(own, theirs)}`;
    const about = { scenario, variant: VARIANT, subject: subject.name, against: other.name, note: told };
    found.push({ ...about, unit: 'Mframes/s', how: 'ratio', pairs });
  }
  const told = own.flatMap((sample) => (sample.own === null ? [] : [sample.own]));
  if (found.length === 0) {
    const rates = own.map(({ rate }) => rate);
    found.push({ ...alone(scenario, VARIANT, 'Mframes/s', rates), subject: subject.name, note });
  }
  if (told.length > 0) {
    found.push(
      alone(
        scenario,
        'busy time per frame',
        'ns',
        told.map((work) => work.busyNs),
      ),
    );
    found.push(
      alone(
        scenario,
        'share of the time busy',
        '%',
        told.map((work) => 100 * work.busyShare),
      ),
    );
  }
  return found;
}

// Scenario guests-idle: CPU time of a weft to which 16 guests are connected that are silent, in percent of one core.
import { setTimeout as sleep } from 'node:timers/promises';
import { guestPort, joinByWeft } from '../peers/weft-guests.ts';
import { cpuSeconds } from '../system/accounting.ts';
import { alone, betweenGuests, type GuestContext, type GuestScenario } from './context.ts';

const COUNT = 16;
const FRAME_BYTES = 64;

export const guestsIdle: GuestScenario = {
  name: 'guests-idle',
  about: `CPU of a weft with ${COUNT} connected, silent guests over 10 s, in percent of one core`,
  weftOnly: true,
  run: async (context) => {
    const values: number[] = [];
    for (let index = 0; index < context.pairs; index++) {
      values.push(await measureOnce(context));
      context.progress(`guests-idle, ${index + 1}/${context.pairs}: ${values[index]!.toPrecision(3)} %`);
    }
    return [alone('guests-idle', `${COUNT} guests`, '%', values)];
  },
};

/** The guests' rings run and their drivers are up; nobody looks at the rings, as in a guest whose CPUs are halted. */
function measureOnce(context: GuestContext): Promise<number> {
  return betweenGuests(
    context,
    // Guests that listen would be found one by one, seconds apart.
    { count: COUNT, frameBytes: FRAME_BYTES, listening: 'switch' },
    (place, sockets) =>
      joinByWeft(
        place,
        sockets.map((socket, index) => ({ ...guestPort(index, socket, FRAME_BYTES), mode: 'server' as const })),
      ),
    async (_guests, joined) => {
      await sleep(context.quick ? 1000 : 5000);
      const before = cpuSeconds(joined.pid);
      const start = process.hrtime.bigint();
      await sleep(context.quick ? 2000 : 10_000);
      const used = cpuSeconds(joined.pid) - before;
      return (100 * used) / (Number(process.hrtime.bigint() - start) / 1e9);
    },
  );
}

// Weft between guests: `weft run` with one worker on CPU 1, as adaptive as it is by default, a learning bridge and a vhost-user port each.
import type { Workplace } from '../system/site.ts';
import { type GuestSwitch, type JoinedGuests, mtuFor, SWITCH_CPU, type Work } from './guest-switch.ts';
import type { Idle } from './peer.ts';
import { type GuestPort, startWeft, type Weft, weftMissing } from './weft-daemon.ts';

export const weftGuests: GuestSwitch = {
  name: 'weft',
  about: 'this switch: one worker, a learning bridge, vhost-user ports',
  hugePages: 0,
  frameBytesMax: 9000,
  available: async () => weftMissing(),
  join: (place, sockets, frameBytes) =>
    joinByWeft(
      place,
      sockets.map((socket, index) => guestPort(index, socket, frameBytes)),
    ),
};

/** The port to the guest that listens at `socket`; a VLAN only where one is asked for. */
export function guestPort(index: number, socket: string, frameBytes: number, vlan?: GuestPort['vlan']): GuestPort {
  const about = vlan === undefined ? {} : { vlan };
  return { name: `g${index}`, kind: 'vhost-user', socket, mode: 'client', mtu: mtuFor(frameBytes), ...about };
}

/** Starts weft with these ports; `idle` is for measuring what an empty turn consists of. */
export async function joinByWeft(
  place: Workplace,
  ports: readonly GuestPort[],
  idle: Idle = 'adaptive',
): Promise<JoinedGuests & Required<Pick<JoinedGuests, 'work'>>> {
  const running = await startWeft(place, { ports, workers: 1, cpus: [SWITCH_CPU], idle });
  return { pid: running.pid, work: () => workOf(running), stop: () => running.stop() };
}

async function workOf(running: Weft): Promise<Work> {
  const workers = (await running.request('GET', '/v1/workers')) as { busySeconds: number; frames: number }[];
  const drops = (await running.request('GET', '/v1/drops')) as { frames: number }[];
  return {
    busySeconds: sum(workers.map((worker) => worker.busySeconds)),
    frames: sum(workers.map((worker) => worker.frames)),
    dropped: sum(drops.map((drop) => drop.frames)),
  };
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

// VXLAN between two machines: on each one a switch with a container at one port and the tunnel to the other machine at the other. A peer is
// two such halves, of the same kind or, where two are to understand each other, of different ones.
import { run } from '../system/process.ts';
import { type Machine, makeMachines } from './machines.ts';
import type { Peer } from './peer.ts';

export const VNI = 100;
/** MTU of the containers: what an underlay with 1,500 bytes would leave them. */
export const INNER_MTU = 1450;

/** What one machine runs. */
export interface Half {
  /** Why it can't run here, or null. */
  available(): Promise<string | null>;
  /** Joins the machine's container, whose device is then `machine.device`, to the tunnel. Answers how to end it. */
  start(machine: Machine): Promise<{ readonly pid: number | null; stop(): Promise<void> }>;
}

/** Two machines with `first` and `second` on them; traffic is sent from the first to the second. */
export function vxlanPeer(name: string, about: string, first: Half, second: Half = first): Peer {
  return {
    name,
    about,
    available: async () => (await first.available()) ?? (await second.available()),
    start: async (site) => {
      const machines = await makeMachines(site);
      const running = [await first.start(machines[0]), await second.start(machines[1])] as const;
      for (const { container, device } of machines)
        await run(['ip', '-n', container, 'link', 'set', device, 'mtu', String(INNER_MTU)]);
      return {
        devices: [machines[0].device, machines[1].device],
        pid: running[0].pid,
        stop: async () => {
          for (const half of running) await half.stop();
        },
      };
    },
  };
}

/**
 * The VNIs of one copy of the tables: where (endpoint, VNI) leads, in open addressing with linear probing, so that a worker finds one among
 * ten thousand with a look or two. Called by tables.ts on the main thread, on a stretch that is all zeros.
 */
import { VNI_PROBES_MAX, VNI_SLOTS_COUNT, VNIS_MAX } from '../../dataplane/limits.ts';
import { VNI_WORDS } from '../../dataplane/memory/layout.ts';
import { VniWord, vniSlot } from '../../dataplane/tables/tunnel-layout.ts';
import { RequestError } from '../errors.ts';
import type { TablePort } from './table-port.ts';
import { vniWord } from './tunnel-words.ts';

/** Networks of a port: its own, or each of its map; none while nothing receives. A VLAN of −1 is none: the frame's tag says it. */
function networksOf({ tunnel }: TablePort): readonly (readonly [vlan: number, vni: number])[] {
  if (tunnel === null || tunnel.endpoint === 0) return [];
  return tunnel.vlans ?? [[-1, vniWord(tunnel)]];
}

/** VNIs of all ports together. */
export function countVnis(ports: readonly TablePort[]): number {
  return ports.reduce((count, port) => count + networksOf(port).length, 0);
}

/**
 * Enters every network of every tunnel. Throws a RequestError where there are too many, where a look would try more than VNI_PROBES_MAX
 * slots, and where two ports of one endpoint have one VNI.
 */
export function writeVnis(slots: Int32Array, ports: readonly TablePort[]): void {
  const count = countVnis(ports);
  if (count > VNIS_MAX) throw new RequestError('too-many-vnis', `${count} VNIs are too many (at most ${VNIS_MAX})`);
  for (const port of ports) for (const [vlan, vni] of networksOf(port)) enter(slots, port, vlan, vni);
}

function enter(slots: Int32Array, port: TablePort, vlan: number, vni: number): void {
  const endpoint = port.tunnel!.endpoint;
  const at = freeSlot(slots, endpoint, vni);
  slots[at + VniWord.PORT] = port.number;
  slots[at + VniWord.VNI] = vni;
  slots[at + VniWord.ENDPOINT] = endpoint;
  slots[at + VniWord.VLAN] = vlan;
}

/** In words from the first slot. */
function freeSlot(slots: Int32Array, endpoint: number, vni: number): number {
  const first = vniSlot(endpoint, vni);
  for (let probe = 0; probe < VNI_PROBES_MAX; probe++) {
    const at = ((first + probe) & (VNI_SLOTS_COUNT - 1)) * VNI_WORDS;
    if (slots[at + VniWord.PORT] === 0) return at;
    if (slots[at + VniWord.VNI] === vni && slots[at + VniWord.ENDPOINT] === endpoint)
      throw new RequestError('vni-taken', `VNI ${vni} of one local address and port belongs to two ports`);
  }
  const text = `VNI ${vni} would lie behind ${VNI_PROBES_MAX} others in the table of VNIs`;
  throw new RequestError('vnis-too-dense', text, 'choose another VNI, or another UDP port for some of them');
}

/** A switch with a bond over memory ports: hosts on 1 and 2, the bond is port 10, its members are 11 to 14. */
import { type BondRecord, BondTable, type MemberRecord } from '../../../control/compile/bond-table.ts';
import type { TablePort } from '../../../control/compile/table-port.ts';
import { PUNT_RING_BYTES } from '../../../dataplane/limits.ts';
import { BYTE_RING_HEAD_WORDS, ByteRing } from '../../../dataplane/memory/byte-ring.ts';
import { Header, Punt, workerRegion } from '../../../dataplane/memory/layout.ts';
import { PortKind } from '../../../dataplane/tables/port-layout.ts';
import { Rig, type RigPort, tablePort } from '../../rig.ts';

export const BOND = 10;
export const MEMBERS = [11, 12, 13, 14];
export const INDEX = 3;

export class BondRig extends Rig {
  readonly table = new BondTable(this.view);
  readonly #punts = new ByteRing(this.view.i32, workerRegion(this.view.layout, Header.PUNT_AT, 0), PUNT_RING_BYTES);

  constructor(port: RigPort = {}, others: readonly TablePort[] = [tablePort(1), tablePort(2)]) {
    super();
    const members = MEMBERS.map((number) => tablePort(number, { bridge: 0, learning: false }));
    this.publish([...others, tablePort(BOND, { ...port, kind: PortKind.BOND, bond: INDEX }), ...members]);
    for (const member of MEMBERS) this.member(member, {});
  }

  /** All members carry, buckets in turn, unless told otherwise. */
  steer(record: Partial<BondRecord> = {}): void {
    const members = record.members ?? MEMBERS;
    this.table.steer(INDEX, {
      send: 'buckets',
      hash: 'layer3+4',
      seed: 0,
      members,
      buckets: Uint8Array.from({ length: 256 }, (_, k) => k % Math.max(1, members.length)),
      each: 1,
      reflects: false,
      ...record,
    });
  }

  member(port: number, member: Partial<MemberRecord>): void {
    this.table.setMember(port, {
      bond: BOND,
      receive: 'all',
      puntsSlow: false,
      puntsNeighbours: false,
      reflects: false,
      ...member,
    });
  }

  /** What was handed up since it was last asked: port and bytes. */
  punted(): { port: number; protocol: number; bytes: Uint8Array }[] {
    const found = [];
    for (let record = this.#punts.peek(); record >= 0; record = this.#punts.peek()) {
      const { i32, u8 } = this.view;
      const at = (record + BYTE_RING_HEAD_WORDS) << 2;
      const bytes = u8.slice(at, at + i32[record + Punt.BYTES]!);
      found.push({ port: i32[record + Punt.PORT]!, protocol: i32[record + Punt.PROTOCOL]!, bytes });
      this.#punts.release(record);
    }
    return found;
  }
}

/**
 * The rows that `weft show` and the API answer, read from the book and the arena. Main thread, on request; changes nothing.
 */
import { DROPS } from '../../dataplane/drop.ts';
import { Block, BlockCell, PortCell, WorkerIo } from '../../dataplane/memory/layout.ts';
import { Form } from '../../dataplane/tables/flood-layout.ts';
import { formOf } from '../compile/flood-pool.ts';
import { carriedVlans, describeVlan } from '../model/vlan.ts';
import { formatVlans, hasVlan, VLAN_MAX } from '../model/vlan-set.ts';
import type { BridgeRow, DropRow, FdbFilter, FdbRow, PortCounts, PortRow, VlanRow, WorkerRow } from '../switch.ts';
import { readFdb } from './fdb-reader.ts';
import type { Foundation } from './foundation.ts';
import type { PortState } from './port-book.ts';

const SENTENCES = new Map(DROPS.map(({ name, sentence }) => [name, sentence]));

export function bridgeRows(base: Foundation): BridgeRow[] {
  return base.book.bridges().map(({ number, model }) => ({
    name: model.name,
    ports: base.book.portsOf(model.name).length,
    fdbEntries: base.counters.bridgeEntries(number),
    fdbLimit: model.fdbLimit,
    ageing: model.ageing,
  }));
}

function countsOf(base: Foundation, port: number, first: number): PortCounts {
  return {
    frames: base.counters.cell(port, first),
    bytes: base.counters.cell(port, first + 1),
    segments: base.counters.cell(port, first + 2),
  };
}

export function portRows(base: Foundation): PortRow[] {
  return base.book.ports().map((state) => portRow(base, state));
}

function portRow(base: Foundation, state: PortState): PortRow {
  const { model, number } = state;
  return {
    bridge: state.bridge,
    name: model.name,
    kind: model.kind,
    device: model.kind === 'tap' ? model.device : null,
    netns: model.kind === 'tap' ? model.netns : null,
    up: state.up,
    reason: state.up ? null : state.reason,
    vlan: describeVlan(model.vlan),
    mtu: model.mtu,
    speed: model.speed,
    receive: countsOf(base, number, PortCell.RX_FRAMES),
    transmit: countsOf(base, number, PortCell.TX_FRAMES),
    missed: base.kernel.of(state),
    dropped: base.counters.drops(number),
    fdbEntries: base.counters.portEntries(number),
  };
}

export function fdbRows(base: Foundation, filter: FdbFilter): FdbRow[] {
  const rows: FdbRow[] = [];
  const nowS = Number(process.hrtime.bigint() / 1_000_000_000n);
  const bridges = new Map(base.book.bridges().map(({ number, model }) => [number, model.name]));
  for (const entry of readFdb(base.view, nowS)) {
    const bridge = bridges.get(entry.bridge);
    const port = base.book.byNumber(entry.port)?.model.name;
    if (bridge === undefined || port === undefined) continue;
    if (filter.bridge !== undefined && filter.bridge !== bridge) continue;
    if (filter.port !== undefined && filter.port !== port && filter.port !== `${bridge}/${port}`) continue;
    if (filter.vlan !== undefined && filter.vlan !== entry.vlan) continue;
    if (filter.mac !== undefined && filter.mac.toLowerCase() !== entry.mac) continue;
    rows.push({ bridge, vlan: entry.vlan, mac: entry.mac, port, type: entry.type, age: entry.age });
  }
  return rows.sort((a, b) =>
    a.bridge < b.bridge ? -1 : a.bridge > b.bridge ? 1 : a.vlan - b.vlan || (a.mac < b.mac ? -1 : 1),
  );
}

/** VLANs with equal members in one row. */
export function vlanRows(base: Foundation): VlanRow[] {
  return base.book.bridges().flatMap(({ model }) => {
    const ports = base.book.portsOf(model.name).map(({ model: port }) => ({ port, carried: carriedVlans(port.vlan) }));
    const groups = new Map<string, { vlans: number[]; tagged: string[]; untagged: string[] }>();
    for (let vlan = 0; vlan <= VLAN_MAX; vlan++) {
      const tagged: string[] = [];
      const untagged: string[] = [];
      for (const { port, carried } of ports) {
        if (hasVlan(carried, vlan)) (formOf(port.vlan, vlan) === Form.TAGGED ? tagged : untagged).push(port.name);
      }
      if (tagged.length + untagged.length === 0) continue;
      const key = `${tagged.join()}|${untagged.join()}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, { vlans: [vlan], tagged, untagged });
      else group.vlans.push(vlan);
    }
    return [...groups.values()].map(({ vlans, tagged, untagged }) => ({
      bridge: model.name,
      vlans: formatVlans(vlans),
      tagged,
      untagged,
    }));
  });
}

export function workerRows(base: Foundation, cpus: readonly number[] | null): WorkerRow[] {
  return Array.from({ length: base.pool.count }, (_, index) => {
    const io = base.counters.blockWord(index, Block.IO);
    return {
      index,
      cpu: cpus?.[index] ?? null,
      ...base.pool.status(index),
      turns: base.counters.blockCell(index, BlockCell.TURNS),
      busySeconds: base.counters.blockCell(index, BlockCell.BUSY_NS) / 1e9,
      frames: base.counters.blockCell(index, BlockCell.FRAMES),
      activeFlows: Math.round(base.counters.blockCell(index, BlockCell.FLOWS)),
      io: io === WorkerIo.IO_URING ? 'io_uring' : io === WorkerIo.READ_WRITE ? 'read/write' : 'none',
    };
  });
}

export function dropRows(base: Foundation): DropRow[] {
  return base.book.ports().flatMap((state) =>
    Object.entries(base.counters.drops(state.number)).map(([reason, frames]) => ({
      bridge: state.bridge,
      port: state.model.name,
      reason,
      meaning: SENTENCES.get(reason) ?? '',
      frames,
    })),
  );
}

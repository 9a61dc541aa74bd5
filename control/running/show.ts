/**
 * The rows that `weft show` and the API answer, read from the book and the arena. Main thread, on request; changes nothing.
 */
import { DROPS } from '../../dataplane/drop.ts';
import { Block, BlockCell, PortCell, WorkerIo } from '../../dataplane/memory/layout.ts';
import { Form } from '../../dataplane/tables/flood-layout.ts';
import { formOf } from '../compile/flood-pool.ts';
import { defaultMac } from '../model/mac.ts';
import { isTunnel, type PortModel } from '../model/model.ts';
import { carriedVlans, describeVlan, type VlanModel } from '../model/vlan.ts';
import { formatVlans, hasVlan, VLAN_MAX, type VlanBitmap } from '../model/vlan-set.ts';
import type { BridgeRow, DropRow, FdbFilter, FdbRow, PortDetail, PortRow, VlanRow, WorkerRow } from '../switch.ts';
import { mtuOf } from './bridge-mtu.ts';
import { readFdb } from './fdb-reader.ts';
import type { Foundation } from './foundation.ts';
import type { PortState } from './port-book.ts';
import { remoteOf } from './remote-record.ts';
import { bondKeys, countsOf, lossesOf, shownPorts, speedOf, transmitted } from './show-bonds.ts';
import { tunnelKeys } from './show-tunnels.ts';

const SENTENCES = new Map(DROPS.map(({ name, sentence }) => [name, sentence]));

export function bridgeRows(base: Foundation): BridgeRow[] {
  return base.book.bridges().map(({ number, model }) => ({
    name: model.name,
    ports: shownPorts(base.book.portsOf(model.name)).length,
    fdbEntries: base.counters.bridgeEntries(number),
    fdbLimit: model.fdbLimit,
    ageing: model.ageing,
  }));
}

export function portRows(base: Foundation): PortRow[] {
  return shownPorts(base.book.ports()).map((state) => portRow(base, state));
}

function portRow(base: Foundation, state: PortState): PortRow {
  const { model, number } = state;
  return {
    bridge: state.bridge,
    name: model.name,
    kind: model.kind,
    device: model.kind === 'tap' || model.kind === 'netdev' ? model.device : null,
    netns: model.kind === 'tap' ? model.netns : null,
    socket: model.kind === 'vhost-user' || model.kind === 'socket' ? model.socket : null,
    up: state.up,
    reason: state.up ? null : state.reason,
    vlan: describeVlan(model.vlan),
    mtu: base.tunnels.of(state)?.mtu ?? mtuOf(state),
    speed: speedOf(base, state),
    receive: countsOf(base, number, PortCell.RX_FRAMES),
    transmit: transmitted(base, state),
    missed: lossesOf(base, state, (one) => base.kernel.of(one)),
    dropped: lossesOf(base, state, (one) => base.counters.drops(one.number)),
    fdbEntries: base.counters.portEntries(number),
  };
}

function groupOf({ group }: { readonly group: string | null }): PortDetail['settings'] {
  return group === null ? {} : { group };
}

/** The keys of a port's kind, defaults filled in. */
function settingsOf(model: PortModel, workers: number): PortDetail['settings'] {
  switch (model.kind) {
    case 'tap':
      return { mac: model.mac, addresses: model.addresses, gateways: model.gateways };
    case 'netdev':
      return { 'take-over': model.takeOver !== null };
    case 'vhost-user':
      return { mode: model.mode, ...groupOf(model), queues: model.queues ?? workers };
    case 'socket':
      return model.type === 'dgram'
        ? { type: model.type, remote: model.remote, ...groupOf(model) }
        : { type: model.type, mode: model.mode, ...groupOf(model) };
    case 'bond':
      return bondKeys(model.settings);
    case 'vxlan':
    case 'geneve':
    case 'gre':
      return tunnelKeys(model.settings);
    case 'patch':
      return { peer: `${model.peer.bridge}/${model.peer.port}` };
    case 'pcap':
      return { read: model.read, write: model.write };
    default:
      return {};
  }
}

function ownMac(bridge: string, model: PortModel): string {
  if (model.kind === 'bond') return model.settings.mac;
  return model.kind === 'tap' ? model.mac : defaultMac(bridge, model.name);
}

function answersOf(base: Foundation, { bridge, model }: PortState): PortDetail['details'] {
  if (!isTunnel(model) || !model.settings.suppress) return {};
  const rows = base.neighbours.rows().filter((row) => row.bridge === bridge && row.port === model.name);
  return { answers: `for ${rows.length} addresses behind it` };
}

export function portDetail(base: Foundation, state: PortState): PortDetail {
  const { bridge, model, device } = state;
  return {
    ...portRow(base, state),
    mac: ownMac(bridge, model),
    settings: settingsOf(model, base.pool.count),
    details: device?.by === 'opener' ? { ...device.device.details(), ...answersOf(base, state) } : {},
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
    const far = remoteOf(base.view, entry.destination);
    rows.push({
      bridge,
      vlan: entry.vlan,
      mac: entry.mac,
      port,
      type: entry.type,
      age: entry.age,
      remote: far?.address ?? null,
      vni: far?.vni ?? null,
    });
  }
  return rows.sort((a, b) =>
    a.bridge < b.bridge ? -1 : a.bridge > b.bridge ? 1 : a.vlan - b.vlan || (a.mac < b.mac ? -1 : 1),
  );
}

/** VLANs with equal members in one row. Ports of equal VLAN settings are asked once: a thousand trunks of every VLAN took a second. */
export function vlanRows(base: Foundation): VlanRow[] {
  return base.book.bridges().flatMap(({ model }) => {
    const ports = shownPorts(base.book.portsOf(model.name)).map(({ model: port }) => port);
    const classes = new Map<string, { vlan: VlanModel; mapped: boolean; carried: VlanBitmap }>();
    const classOf = ports.map((port) => {
      const { vlan } = port;
      const mapped = isTunnel(port) && port.settings.vlans !== null;
      const key = JSON.stringify([vlan, mapped]);
      if (!classes.has(key)) classes.set(key, { vlan, mapped, carried: carriedVlans(vlan) });
      return key;
    });
    const groups = new Map<string, { vlans: number[]; forms: Map<string, number> }>();
    for (let vid = 0; vid <= VLAN_MAX; vid++) {
      const forms = new Map<string, number>();
      for (const [key, { vlan, mapped, carried }] of classes)
        if (hasVlan(carried, vid)) forms.set(key, formOf(vlan, vid, mapped) === Form.TAGGED ? 1 : 0);
      if (forms.size === 0) continue;
      const members = JSON.stringify([...forms]);
      const group = groups.get(members);
      if (group === undefined) groups.set(members, { vlans: [vid], forms });
      else group.vlans.push(vid);
    }
    return [...groups.values()].map(({ vlans, forms }) => {
      const names = (tagged: number) =>
        ports.flatMap(({ name }, k) => (forms.get(classOf[k]!) === tagged ? [name] : []));
      return { bridge: model.name, vlans: formatVlans(vlans), tagged: names(1), untagged: names(0) };
    });
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

/** What a bond's member lost has a row of its own, as port `bond/member`; so has what a tunnels' endpoint lost, in no bridge. */
export function dropRows(base: Foundation): DropRow[] {
  const losses = (bridge: string, port: string, number: number): DropRow[] =>
    Object.entries(base.counters.drops(number)).map(([reason, frames]) => {
      return { bridge, port, reason, meaning: SENTENCES.get(reason) ?? '', frames };
    });
  return [
    ...base.book.ports().flatMap(({ bridge, model, number }) => losses(bridge, model.name, number)),
    ...base.tunnels.endpoints.all().flatMap(({ name, number }) => losses('', name, number)),
  ];
}

/** A frame that does not fit a tunnel's path: who hears of it, and that the answer reaches its sender. */
import { describe, expect, it } from 'vitest';
import { Injector } from '../../../control/running/injector.ts';
import type { PortBook } from '../../../control/running/port-book.ts';
import { type PuntedFrame, Punts } from '../../../control/running/punts.ts';
import { answerTooBig, TooBig } from '../../../control/running/too-big.ts';
import { Injector as Injected, injectRing } from '../../../dataplane/inject.ts';
import { PUNTS_PER_S_MAX } from '../../../dataplane/limits.ts';
import type { Lane } from '../../../dataplane/memory/lane.ts';
import { PortCell, Protocol } from '../../../dataplane/memory/layout.ts';
import { MemoryPort } from '../../../dataplane/ports/memory.ts';
import { DESTINATION_MASK } from '../../../dataplane/tables/fdb-layout.ts';
import { buildTcpFrame, buildUdpFrame, type TagOptions } from '../../../dataplane/wire/build.ts';
import { VNET_BYTES, VNET_F_NEEDS_CSUM, VNET_GSO_TCPV4 } from '../../../dataplane/wire/vnet.ts';
import { emitVnet } from '../../../dataplane/wire/vnet-value.ts';
import { tablePort } from '../../rig.ts';
import { A, B, hex, place } from './frames.ts';
import { REMOTES, TUNNEL, TunnelRig } from './tunnel-rig.ts';

const LINK = { dst: '02:00:00:00:00:02', src: '02:00:00:00:00:01' };
const V4 = { ip4: { source: '198.51.100.2', destination: '198.51.100.9' } };
const V6 = { ip6: { source: '2001:db8::2', destination: '2001:db8::9' } };
const PORTS = { sourcePort: 1, destinationPort: 2 };
/** A frame of so many bytes, tags included. */
const long = (bytes: number, vlan: readonly TagOptions[] = [], dontFragment = true) => {
  const payload = new Uint8Array(bytes - 14 - 4 * vlan.length - 28);
  return buildUdpFrame({ ...LINK, ...PORTS, vlan, payload, ip4: { ...V4.ip4, dontFragment } });
};

function stand(options: ConstructorParameters<typeof TunnelRig>[0] = { [TUNNEL]: {} }) {
  const rig = new TunnelRig(options, [tablePort(1, { mtu: 9000 }), tablePort(2)]);
  rig.remote(REMOTES[0]!, TUNNEL, '192.0.2.2', { fits: 1414 });
  for (const vlan of [0, 10]) place(rig, B, vlan, REMOTES[0]!);
  const punts = new Punts(rig.view);
  const heard: PuntedFrame[] = [];
  punts.hear(Protocol.TOO_BIG, (frame) => void heard.push(frame));
  return {
    rig,
    punts,
    told(frame: Uint8Array, vnet: Uint8Array | null = null): PuntedFrame[] {
      rig.send(1, frame, vnet);
      punts.drain();
      return heard.splice(0);
    },
  };
}

describe('control hears of', () => {
  it('a packet that is a byte too long, and how long it may be', () => {
    const { told, rig } = stand();
    expect(told(long(1414))).toEqual([]);
    expect(rig.left()).toHaveLength(1);
    const frame = long(1415);
    expect(told(frame)).toEqual([{ port: TUNNEL, vlan: 0, about: 1414, bytes: frame.subarray(0, 256) }]);
    expect([rig.left(), rig.drops()]).toEqual([[], { '10 path-mtu': 1 }]);
  });

  it('one in a VLAN, in the shape in which it would leave', () => {
    const { told } = stand();
    const frame = long(1419, [{ vid: 10 }]);
    expect(told(frame)).toMatchObject([{ vlan: 10, about: 1414, bytes: frame.subarray(0, 256) }]);
    // Its head had the tag, too.
    const mapped = stand({
      [TUNNEL]: { vni: null, vlans: [[10, 5010]], port: { vlan: { mode: 'trunk', trunks: [10] } } },
    });
    expect(mapped.told(frame)).toMatchObject([{ vlan: 10, about: 1414, bytes: long(1415).subarray(0, 252) }]);
  });

  it('IPv6, and super-frames whose segments are too long', () => {
    const { told } = stand();
    expect(told(buildUdpFrame({ ...LINK, ...PORTS, ...V6, payload: new Uint8Array(1500) }))).toHaveLength(1);
    const vnet = (gsoBytes: number) => {
      const bytes = new Uint8Array(VNET_BYTES);
      const checksum = { checksumStart: 34, checksumOffset: 16, flags: VNET_F_NEEDS_CSUM };
      emitVnet({ ...checksum, gsoType: VNET_GSO_TCPV4, headerBytes: 54, gsoBytes, bufferCount: 0 }, bytes, 0);
      return bytes;
    };
    const whole = buildTcpFrame({ ...LINK, ...PORTS, ...V4, payload: new Uint8Array(8000), unfinished: true });
    expect(told(whole, vnet(1360))).toEqual([]);
    expect(told(whole, vnet(1361))).toHaveLength(1);
  });

  it('nothing that nobody can be told of, which is counted all the same', () => {
    const { told, rig } = stand();
    const other = long(1415).fill(0x88, 12, 13);
    for (const frame of [long(1415, [], false), other]) expect(told(frame)).toEqual([]);
    expect(rig.drops()).toEqual({ '10 path-mtu': 2 });
  });

  it('so many in a second, and of a port’s own MTU too', () => {
    const { told, rig } = stand({ [TUNNEL]: { port: { mtu: 1300 } } });
    for (let k = 0; k < 2 * PUNTS_PER_S_MAX; k++) rig.port(1).push(long(1315));
    expect(told(long(1315))).toHaveLength(PUNTS_PER_S_MAX);
    expect(rig.drops()).toEqual({ '10 mtu-exceeded': 2 * PUNTS_PER_S_MAX + 1 });
    rig.edge.now += 1e9;
    rig.run();
    expect(told(long(1315))).toMatchObject([{ about: 1314 }]);
  });
});

/** What control injects, as a worker takes it. */
class FromControl extends MemoryPort {
  injected: Injected | null = null;
  override hasWork(): boolean {
    return this.injected?.hasWork() ?? false;
  }
  override receive(lane: Lane): void {
    this.injected?.receive(lane);
  }
}

it('has an answer that enters by the tunnel, reaches the sender in his VLAN, and teaches nobody anything', () => {
  const { rig, punts } = stand({
    [TUNNEL]: { vni: null, vlans: [[10, 5010]], port: { vlan: { mode: 'trunk', trunks: [10] } } },
  });
  const control = new FromControl(41);
  control.injected = new Injected(injectRing(rig.view, 0));
  rig.turns.addScript(control);
  const settings = { vlans: [[10, 5010]] };
  const book = { byNumber: () => ({ model: { kind: 'vxlan', settings } }) } as unknown as PortBook;
  new TooBig(book, new Injector(rig.view, () => undefined), punts);
  const frame = long(1419, [{ vid: 10 }]);
  rig.send(1, frame);
  const where = () => rig.view.i32.slice(rig.lane.fdbAt, rig.lane.fdbAt + 4096 * 8);
  const before = where();
  punts.drain();
  rig.run();
  const answer = answerTooBig(long(1415).subarray(0, 252), 1414, 10)!;
  expect(rig.collected().get(1)!.map(hex)).toEqual([hex(answer)]);
  expect(hex(answer).slice(0, 36)).toBe(`${A}${B}8100000a0800`);
  expect(where()).toEqual(before);
  expect(rig.cell(TUNNEL, PortCell.RX_FRAMES)).toBe(1);
  expect(before.some((word) => (word & DESTINATION_MASK) === REMOTES[0])).toBe(true);
});

/**
 * ARP and neighbour suppression from end to end: what a tunnel's hosts tell goes up, control keeps it, and the path answers, in the very bytes of
 * the Linux bridge.
 */
import { describe, expect, it } from 'vitest';
import type { VlanDocument } from '../../../control/config/document.ts';
import { BRIDGE_WORDS, PORT_WORDS, PortCell } from '../../../dataplane/memory/layout.ts';
import { GENERATIONS_AT } from '../../../dataplane/tables/fdb-layout.ts';
import { BridgeWord, PortFlag, PortWord } from '../../../dataplane/tables/port-layout.ts';
import { buildArpFrame, buildNeighbourFrame, type TagOptions } from '../../../dataplane/wire/build.ts';
import { VNET_BYTES, VNET_F_NEEDS_CSUM } from '../../../dataplane/wire/vnet.ts';
import { emitVnet, type VnetHeader } from '../../../dataplane/wire/vnet-value.ts';
import { randomFrom, seedFor } from '../../seed.ts';
import { hex } from './frames.ts';
import {
  advertisement,
  announcement,
  golden,
  HERE,
  known,
  NOBODY,
  REQUEST,
  SOLICITATION,
  solicitation,
  stand,
  THERE,
} from './suppress-rig.ts';
import { REMOTES, TUNNEL } from './tunnel-rig.ts';

const ASKED = { operation: 1, targetMac: NOBODY };
const emitted = (header: Partial<VnetHeader>) => {
  const bytes = new Uint8Array(VNET_BYTES);
  const plain = {
    flags: 0,
    gsoType: 0,
    headerBytes: 0,
    gsoBytes: 0,
    checksumStart: 0,
    checksumOffset: 0,
    bufferCount: 0,
  };
  emitVnet({ ...plain, ...header }, bytes, 0);
  return bytes;
};

describe('an answer', () => {
  it('to ARP is the one that Linux gives, and the tunnel is spared', () => {
    const { asks, rig } = known();
    const { here, other, tunnel } = asks(REQUEST);
    expect(here).toEqual([hex(golden.get('arp-reply')!)]);
    expect([other, tunnel]).toEqual([[hex(REQUEST)], []]);
    expect(rig.cell(1, PortCell.REPLICATED)).toBe(1);
    expect(rig.drops()).toEqual({});
  });

  it('to a solicitation is the one that Linux gives, and the tunnel is spared', () => {
    const { here, other, tunnel } = known().asks(SOLICITATION);
    expect(here).toEqual([hex(golden.get('advertisement')!)]);
    expect([other, tunnel]).toEqual([[hex(SOLICITATION)], []]);
  });

  it('alone makes the question a drop with its own reason', () => {
    const { asks, rig } = known({ hosts: [{}] });
    const sent = rig.cell(1, PortCell.TX_FRAMES);
    expect(asks(REQUEST).here).toHaveLength(1);
    expect(rig.drops()).toEqual({ '1 answered': 1 });
    // One came, and one more was made; one went back, the other is lost.
    expect([rig.cell(1, PortCell.RX_FRAMES), rig.cell(1, PortCell.REPLICATED)]).toEqual([1, 1]);
    expect(rig.cell(1, PortCell.TX_FRAMES) - sent).toBe(1);
  });

  it('is as long as the question was where that was padded', () => {
    const padded = new Uint8Array(60).fill(0xee);
    padded.set(REQUEST);
    const { asks } = known();
    expect(asks(padded).here).toEqual([hex(golden.get('arp-reply')!).padEnd(120, '0')]);
    const long = new Uint8Array(300).fill(0xee);
    long.set(REQUEST);
    expect(asks(long).here).toEqual([hex(golden.get('arp-reply')!).padEnd(120, '0')]);
  });

  it('is a plain frame, whatever the question was marked with', () => {
    const { rig, asks } = known();
    const vnet = emitted({ flags: VNET_F_NEEDS_CSUM, checksumStart: 14, checksumOffset: 2 });
    rig.port(1).push(REQUEST, vnet);
    rig.run();
    expect(rig.port(1).drain()).toMatchObject([{ bytes: golden.get('arp-reply'), finish: 0, vnet: emitted({}) }]);
    const ip6 = { source: HERE.ip6, destination: 'ff02::1:ff00:9', trafficClass: 0xb8, flowLabel: 5 };
    expect(asks(solicitation(HERE, THERE.ip6, { ip6 })).here).toEqual([hex(golden.get('advertisement')!)]);
  });

  it('says of a router that it is one', () => {
    const { comes, asks } = stand();
    comes(advertisement(THERE, { router: true }));
    const wanted = buildNeighbourFrame({
      dst: HERE.mac,
      src: THERE.mac,
      ip6: { source: THERE.ip6, destination: HERE.ip6 },
      type: 136,
      router: true,
      solicited: true,
      override: true,
      target: THERE.ip6,
      linkAddress: THERE.mac,
    });
    expect(asks(SOLICITATION).here).toEqual([hex(wanted)]);
    // It is none any more, which is news.
    comes(advertisement(THERE));
    expect(asks(SOLICITATION).here).toEqual([hex(golden.get('advertisement')!)]);
  });

  it('has the shape that the asker’s port wants, in his VLAN alone', () => {
    const made = known({
      tunnel: { vlan: { mode: 'trunk', trunks: [10, 20] } },
      hosts: [{ vlan: { mode: 'access', tag: 10 } }, { vlan: { mode: 'trunk', trunks: [10, 20] } }],
    });
    expect(made.asks(REQUEST).here).toEqual([hex(golden.get('arp-reply')!)]);
    const tagged = (vid: number) => {
      return buildArpFrame({
        operation: 1,
        senderMac: HERE.mac,
        senderAddress: HERE.ip4,
        targetMac: NOBODY,
        targetAddress: THERE.ip4,
        vlan: [{ vid, pcp: 3 }],
      });
    };
    const reply = golden.get('arp-reply')!;
    const wanted = `${hex(reply).slice(0, 24)}8100600a${hex(reply).slice(24)}`.padEnd(120, '0');
    expect(made.asks(tagged(10), 2).here).toEqual([wanted]);
    expect(made.asks(tagged(20), 2)).toMatchObject({ here: [], tunnel: [hex(tagged(20))] });
  });
});

describe('no answer gets', () => {
  const ask = (more: object) =>
    buildArpFrame({
      operation: 1,
      senderMac: HERE.mac,
      senderAddress: HERE.ip4,
      targetMac: NOBODY,
      targetAddress: THERE.ip4,
      ...more,
    });
  it.each([
    ['who asks for another', ask({ targetAddress: '198.51.100.10' })],
    ['who probes (RFC 5227)', ask({ senderAddress: '0.0.0.0' })],
    ['who announces', ask({ senderAddress: THERE.ip4 })],
    ['who replies', ask({ operation: 2, dst: 'ff:ff:ff:ff:ff:ff' })],
    ['who asks for somebody else', ask({ src: '02:00:00:00:00:03' })],
    ['who asks for what is his', ask({ src: THERE.mac, senderMac: THERE.mac })],
    [
      'who looks for duplicates',
      solicitation(HERE, THERE.ip6, { ip6: { source: '::', destination: 'ff02::1:ff00:9' }, linkAddress: null }),
    ],
    ['who asks for another IPv6 address', solicitation(HERE, '2001:db8::a')],
    [
      'who solicits from afar',
      solicitation(HERE, THERE.ip6, { ip6: { source: HERE.ip6, destination: 'ff02::1:ff00:9', hopLimit: 254 } }),
    ],
    ['who solicits for somebody else', solicitation(HERE, THERE.ip6, { linkAddress: '02:00:00:00:00:03' })],
    ['who solicits himself', solicitation({ ...HERE, ip6: THERE.ip6 }, THERE.ip6)],
    ['a wrong checksum', SOLICITATION.with(56, SOLICITATION[56]! ^ 1)],
    ['an option of no length', SOLICITATION.with(79, 0)],
    ['an advertisement', advertisement(HERE, { target: THERE.ip6 })],
    ['a request cut off', ask({}).subarray(0, 41)],
    ['a solicitation cut off', SOLICITATION.subarray(0, 85)],
    ['a request behind another tag', ask({ vlan: [{ vid: 2 }, { vid: 3 }] })],
  ])('%s', (_, frame) => {
    const { asks } = known();
    expect(asks(frame)).toEqual({ here: [], other: [hex(frame)], tunnel: [hex(frame)] });
  });

  it('who has the address himself, where nobody learned that', () => {
    const { asks } = known({ hosts: [{ learning: false }, {}] });
    expect(asks(REQUEST).here).toHaveLength(1);
    const own = buildArpFrame({ ...ASKED, senderMac: THERE.mac, senderAddress: HERE.ip4, targetAddress: THERE.ip4 });
    expect(asks(own)).toMatchObject({ here: [], tunnel: [hex(own)] });
  });

  it('a question that has another tag inside', () => {
    const vlan: VlanDocument = { mode: 'trunk', trunks: [10] };
    const { asks } = known({ tunnel: { vlan }, hosts: [{ vlan }, { vlan }] });
    const ask = (tags: readonly TagOptions[]) =>
      buildArpFrame({ ...ASKED, senderMac: HERE.mac, senderAddress: HERE.ip4, targetAddress: THERE.ip4, vlan: tags });
    expect(asks(ask([{ vid: 10 }])).here).toHaveLength(1);
    expect(asks(ask([{ vid: 10 }, { vid: 5 }])).here).toEqual([]);
  });

  it('a question for who is not, or no longer, behind the tunnel', () => {
    const { rig, asks, comes } = known();
    rig.view.i32[rig.lane.fdbCountsAt + GENERATIONS_AT + REMOTES[0]!]!++;
    expect(asks(REQUEST)).toMatchObject({ here: [], tunnel: [hex(REQUEST)] });
    comes(announcement(THERE));
    expect(asks(REQUEST).here).toHaveLength(1);
    // It moved to port 2.
    rig.send(2, announcement(THERE));
    rig.left();
    expect(asks(REQUEST)).toMatchObject({ here: [], tunnel: [hex(REQUEST)] });
  });

  it('a question where the tunnel is down, not asked to, or kept apart', () => {
    const { rig, asks } = known();
    const flags = rig.lane.portsAt + TUNNEL * PORT_WORDS + PortWord.FLAGS;
    const mine = rig.lane.portsAt + PORT_WORDS + PortWord.FLAGS;
    for (const without of [PortFlag.UP, PortFlag.SUPPRESS]) {
      rig.view.i32[flags]! ^= without;
      expect(asks(REQUEST).here).toEqual([]);
      rig.view.i32[flags]! ^= without;
    }
    rig.view.i32[flags]! |= PortFlag.PROTECTED;
    expect(asks(REQUEST).here).toHaveLength(1);
    rig.view.i32[mine]! |= PortFlag.PROTECTED;
    expect(asks(REQUEST).here).toEqual([]);
  });

  it('a question in a bridge that suppresses nothing', () => {
    const { rig, asks } = known();
    rig.view.i32[rig.lane.bridgesAt + BRIDGE_WORDS + BridgeWord.SUPPRESS] = 0;
    expect(asks(REQUEST)).toMatchObject({ here: [], tunnel: [hex(REQUEST)] });
  });

  it('anybody from an entry that is half-written', () => {
    const { rig, asks } = known();
    const words = rig.view.i32.subarray(rig.lane.neighboursAt, rig.lane.neighboursAt + 16_384 * 8);
    const at = words.findIndex((word, k) => k % 8 === 5 && word === 0x09000000);
    for (const word of [5, 6, 7]) {
      words[at - 5 + word]! ^= 0x100;
      expect(asks(REQUEST).here.length + asks(SOLICITATION).here.length).toBe(1);
      words[at - 5 + word]! ^= 0x100;
    }
    expect(asks(REQUEST).here.length + asks(SOLICITATION).here.length).toBe(2);
  });
});

it('answers for exactly those whom a plain map has, through a storm of hosts that come, move and go', () => {
  const random = randomFrom(seedFor('suppress'));
  const { rig, comes, asks, clock, neighbours } = stand();
  rig.view.i32[rig.lane.bridgesAt + BRIDGE_WORDS + BridgeWord.AGEING_S] = 0;
  const STEP_MS = 20_000;
  const truth = new Map<number, { mac: string; until: number }>();
  const address = (k: number) => `198.51.${100 + (k >> 8)}.${k & 255}`;
  const asked = { senderMac: HERE.mac, senderAddress: HERE.ip4, targetMac: NOBODY };
  let answered = 0;
  for (let round = 0; round < 1500; round++) {
    const k = 10 + random(300);
    const mac = `02:00:00:01:0${random(2)}:${(k & 255).toString(16).padStart(2, '0')}`;
    const what = random(10);
    if (what < 4) {
      comes(announcement({ mac, ip4: address(k), ip6: '::' }));
      // What is known already is noted by the worker, and found there in the next sweep.
      const late = truth.get(k)?.mac === mac ? STEP_MS : 0;
      truth.set(k, { mac, until: clock.ms + late + 300_000 });
    } else if (what === 4) {
      clock.ms += STEP_MS;
      rig.edge.now += STEP_MS * 1e6;
      rig.run();
      neighbours.sweep();
      for (const [one, { until }] of truth) if (clock.ms >= until) truth.delete(one);
      expect(neighbours.rows()).toHaveLength(truth.size);
    } else {
      const question = buildArpFrame({ operation: 1, ...asked, targetAddress: address(k) });
      const found = truth.get(k);
      if (found === undefined) {
        expect(asks(question)).toMatchObject({ here: [], tunnel: [hex(question)] });
        continue;
      }
      answered++;
      const [source, target] = [
        { senderMac: found.mac, senderAddress: address(k) },
        { targetMac: HERE.mac, targetAddress: HERE.ip4 },
      ];
      const reply = buildArpFrame({ operation: 2, ...source, ...target });
      expect(asks(question)).toMatchObject({ here: [hex(reply)], tunnel: [] });
    }
  }
  expect(answered).toBeGreaterThan(50);
});

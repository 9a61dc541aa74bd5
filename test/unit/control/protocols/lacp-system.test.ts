/**
 * One system and what it is sent: markers, nonsense, floods, its own LACPDUs. `test_lacp` is VPP's.
 */
import { describe, expect, it } from 'vitest';
import { LacpSystem } from '../../../../control/protocols/lacp/system.ts';
import { ETHERNET_BYTES, ETHERTYPE_SLOW_PROTOCOLS } from '../../../../dataplane/wire/ethernet.ts';
import { emitEthernet, parseEthernet } from '../../../../dataplane/wire/ethernet-value.ts';
import { SLOW_PDU_BYTES } from '../../../../dataplane/wire/lacp.ts';
import { emitLacpdu, emitMarker, type Marker, parseMarker } from '../../../../dataplane/wire/lacp-value.ts';
import { loadGolden } from '../../../golden/load.ts';
import { randomFrom, seedFor } from '../../../seed.ts';
import { pduFor, upPort } from './lacp-ports.ts';
import { LacpRig, lacpSettings, macOf } from './lacp-rig.ts';

const SOURCE = '02:00:00:00:62:01';
const REQUEST: Marker = { kind: 'request', port: 513, system: '02:00:00:00:0b:00', transaction: 0xfedcba98 };

function framed(emit: (bytes: Uint8Array, at: number) => void): Uint8Array {
  const frame = new Uint8Array(ETHERNET_BYTES + SLOW_PDU_BYTES);
  emit(
    frame,
    emitEthernet({ destination: '01:80:c2:00:00:02', source: SOURCE, etherType: ETHERTYPE_SLOW_PROTOCOLS }, frame, 0),
  );
  return frame;
}

function lonely(change: Parameters<typeof lacpSettings>[0] = {}): { rig: LacpRig; system: LacpSystem } {
  const rig = new LacpRig();
  const system = rig.addSystem('a', lacpSettings(change));
  rig.addPort('a', 'p1');
  rig.up('a/p1');
  rig.run(100);
  rig.sent.length = 0;
  return { rig, system };
}

describe('test_lacp marker request', () => {
  const request = framed((bytes, at) => emitMarker(REQUEST, bytes, at));

  it('is answered at once with the same payload, from the member', () => {
    const { rig, system } = lonely();
    system.receive('p1', request, rig.now);
    const answers = rig.sent.map(({ frame }) => frame);
    expect(answers).toHaveLength(1);
    const [answer] = answers;
    expect(parseEthernet(answer!, 0, answer!.length)).toEqual({
      destination: '01:80:c2:00:00:02',
      source: macOf('a', 'p1'),
      etherType: ETHERTYPE_SLOW_PROTOCOLS,
    });
    expect(parseMarker(answer!, ETHERNET_BYTES, answer!.length)).toEqual({ ...REQUEST, kind: 'response' });
    expect(answer!.slice(17)).toEqual(request.slice(17));
    expect(rig.row('a/p1')).toMatchObject({ markers: 1, bad: 0, received: 0 });
    expect(request[16]).toBe(1);
  });

  it("answers scapy's as scapy would", () => {
    const { rig, system } = lonely();
    const named = (name: string) => loadGolden('lacp').find((frame) => frame.name === name)!.bytes;
    system.receive('p1', named('marker-request'), rig.now);
    expect(rig.sent[0]!.frame.slice(ETHERNET_BYTES)).toEqual(named('marker-response').slice(ETHERNET_BYTES));
  });

  it('is answered ten times a second at most, and not on a port that is down; responses are not', () => {
    const { rig, system } = lonely();
    for (let k = 0; k < 500; k++) system.receive('p1', request, rig.now);
    expect(rig.sent).toHaveLength(10);
    expect(rig.row('a/p1')).toMatchObject({ markers: 10, bad: 490 });
    system.receive('p1', request, rig.now + 1_000);
    expect(rig.row('a/p1').markers).toBe(11);
    const response = framed((bytes, at) => emitMarker({ ...REQUEST, kind: 'response' }, bytes, at));
    system.receive('p1', response, rig.now + 1_000);
    rig.down('a/p1');
    system.receive('p1', request, rig.now + 1_000);
    expect(rig.row('a/p1')).toMatchObject({ markers: 11, bad: 490 });
  });
});

describe('nonsense', () => {
  const valid = framed((bytes, at) => emitLacpdu(pduFor(upPort()), bytes, at));

  it('is counted and changes nothing', () => {
    const { rig, system } = lonely();
    const before = rig.row('a/p1');
    const broken = (at: number, ...values: number[]): Uint8Array => {
      const frame = valid.slice();
      frame.set(values, at);
      return frame;
    };
    const bad = [
      new Uint8Array(0),
      valid.slice(0, ETHERNET_BYTES),
      valid.slice(0, 60),
      valid.slice(0, 123),
      broken(12, 8, 0),
      broken(14, 0),
      broken(14, 11),
      broken(17, 19),
      broken(37, 21),
      broken(57, 0),
      broken(20, 0, 0, 0, 0, 0, 0),
      broken(20, 3, 0, 0, 0, 0, 1),
      framed((bytes, at) => {
        emitMarker(REQUEST, bytes, at);
        bytes[at + 3] = 9;
      }),
    ];
    for (const frame of bad) system.receive('p1', frame, rig.now);
    expect(rig.row('a/p1')).toEqual({ ...before, bad: bad.length });
    expect(rig.sent).toEqual([]);
    system.receive('p1', valid, rig.now);
    expect(rig.row('a/p1')).toMatchObject({ receive: 'CURRENT', received: 1 });
  });

  it('is not what another slow protocol sends, nor what comes for a port that is not there', () => {
    const { rig, system } = lonely();
    const oam = valid.slice();
    oam[14] = 3;
    system.receive('p1', oam, rig.now);
    system.receive('p9', valid, rig.now);
    system.link('p9', true, null, SOURCE, rig.now);
    system.removePort('p9', rig.now);
    expect(rig.row('a/p1')).toMatchObject({ bad: 0, received: 0 });
    expect(() => system.row('p9')).toThrow('p9 is no port');
  });

  it('delays what would be the fourth LACPDU in a second, and wakes for it', () => {
    const rig = new LacpRig();
    const system = rig.addSystem('a', lacpSettings());
    rig.addPort('a', 'p1');
    rig.up('a/p1');
    // The partner is slow, and doesn't know us: each of its LACPDUs wants an answer.
    const stranger = framed((bytes, at) => emitLacpdu(pduFor(upPort(), { state: { timeout: false } }), bytes, at));
    for (const at of [100, 200, 300, 400]) {
      rig.run(at - rig.now);
      system.receive('p1', stranger, at);
    }
    expect(rig.sent.map(({ at }) => at)).toEqual([0, 100, 200]);
    expect(system.wakeAt).toBe(1_000);
    rig.run(600);
    expect(rig.sent.map(({ at }) => at)).toEqual([0, 100, 200, 1_000]);
  });

  it('floods are answered by three LACPDUs a second, and nothing throws', () => {
    const random = randomFrom(seedFor('floods'));
    const { rig, system } = lonely();
    const start = rig.now;
    for (let k = 0; k < 3_000; k++) {
      const frame = valid.slice(0, random(20) === 0 ? random(125) : 124);
      // One in two keeps its lengths, and is a partner that nobody knew.
      for (let n = random(6); n > 0; n--) frame[random(2) === 0 ? 18 + random(18) : random(124)] = random(256);
      rig.now = start + k;
      system.receive('p1', frame, rig.now);
      if (system.wakeAt <= rig.now) system.tick(rig.now);
      if (system.wakeAt <= rig.now) throw new Error('waits for the past');
    }
    const { received, bad, sent } = rig.row('a/p1');
    expect(received).toBeGreaterThan(500);
    expect(bad).toBeGreaterThan(100);
    expect(sent).toBeLessThanOrEqual(3 * 4 + 1);
    const times = rig.sent.map(({ at }) => at);
    for (let k = 3; k < times.length; k++) expect(times[k]! - times[k - 3]!).toBeGreaterThanOrEqual(1_000);
  });
});

describe('our own LACPDUs', () => {
  it.each([true, false])('never make a link carry that comes back to itself (strict: %s)', (strict) => {
    const rig = new LacpRig();
    rig.addSystem('a', lacpSettings({ strict }));
    rig.addPort('a', 'p1');
    rig.join('a/p1', 'a/p1');
    rig.watch = () => expect(rig.collecting('a/p1')).toBe(false);
    rig.run(30_000);
    expect(rig.row('a/p1')).toMatchObject({ receive: 'CURRENT', mux: 'DETACHED', aggregator: null });
    expect(rig.row('a/p1').partner).toMatchObject({ system: '02:00:00:00:0a:00', port: 1 });
    expect(rig.system('a').negotiated).toBe(false);
  });

  it('never make two ports carry that are joined to each other, while others do', () => {
    const rig = new LacpRig();
    rig.addSystem('a', lacpSettings());
    rig.addSystem('b', lacpSettings({ systemMac: '02:00:00:00:0b:00' }));
    for (const port of ['p1', 'p2', 'p3']) rig.addPort('a', port);
    rig.addPort('b', 'p1');
    rig.join('a/p1', 'a/p2');
    rig.join('a/p3', 'b/p1');
    rig.watch = () => expect(rig.collecting('a/p1') || rig.collecting('a/p2')).toBe(false);
    rig.run(10_000);
    expect(rig.distributing('a/p3')).toBe(true);
    for (const end of ['a/p1', 'a/p2']) rig.unplug(end);
    rig.addPort('b', 'p2');
    rig.watch = () => {};
    rig.join('a/p1', 'b/p2');
    rig.run(10_000);
    expect(rig.distributing('a/p1')).toBe(true);
  });
});

describe('without a partner', () => {
  it('carries nothing where that is asked for strictly', () => {
    const { rig } = lonely();
    rig.run(100_000);
    expect(rig.row('a/p1')).toMatchObject({ receive: 'DEFAULTED', partner: null });
    expect(rig.collecting('a/p1')).toBe(false);
    rig.system('a').configure(lacpSettings({ strict: false }), 1, rig.now);
    expect(rig.distributing('a/p1')).toBe(true);
  });

  it('lets one link carry after 3 s otherwise, alone, and another when that one is lost', () => {
    const rig = new LacpRig();
    rig.addSystem('a', lacpSettings({ strict: false }));
    for (const port of ['p1', 'p2', 'p3']) {
      rig.addPort('a', port);
      rig.up(`a/${port}`);
    }
    const carrying = () => ['p1', 'p2', 'p3'].filter((port) => rig.distributing(`a/${port}`));
    rig.run(2_999);
    expect(carrying()).toEqual([]);
    rig.run(1);
    expect(carrying()).toEqual(['p1']);
    expect(rig.system('a').negotiated).toBe(false);
    rig.down('a/p1');
    expect(carrying()).toEqual(['p2']);
    rig.up('a/p1');
    rig.run(10_000);
    expect(carrying()).toEqual(['p2']);
    rig.system('a').configure(lacpSettings({ strict: true }), 1, rig.now);
    expect(carrying()).toEqual([]);
    rig.system('a').configure(lacpSettings({ strict: false }), 1, rig.now);
    expect(carrying()).toHaveLength(1);
  });

  it('goes over to a partner that boots, and carries until the new aggregator has waited', () => {
    const rig = new LacpRig();
    rig.addSystem('a', lacpSettings({ strict: false }));
    rig.addSystem('b', lacpSettings({ systemMac: '02:00:00:00:0b:00' }));
    for (const port of ['p1', 'p2']) {
      rig.addPort('a', port);
      rig.up(`a/${port}`);
      rig.addPort('b', port);
    }
    rig.run(60_000);
    expect(rig.distributing('a/p1')).toBe(true);
    rig.join('a/p2', 'b/p2');
    let gap = 0;
    let last = rig.now;
    rig.watch = () => {
      if (!rig.distributing('a/p1') && !rig.distributing('a/p2')) gap += rig.now - last;
      last = rig.now;
    };
    rig.run(20_000);
    expect([rig.distributing('a/p1'), rig.distributing('a/p2'), rig.distributing('b/p2')]).toEqual([false, true, true]);
    expect(gap).toBe(0);
  });

  it('carries alone on a link without LACP, never on two', () => {
    const rig = new LacpRig();
    rig.addSystem('a', lacpSettings({ strict: false }));
    for (const port of ['p1', 'p2']) {
      rig.addPort('a', port, { lacp: false });
      rig.up(`a/${port}`);
    }
    rig.run(10_000);
    expect([rig.distributing('a/p1'), rig.distributing('a/p2'), rig.sent.length]).toEqual([true, false, 0]);
    expect(rig.row('a/p1').receive).toBe('LACP_DISABLED');
  });
});

it('refuses a port number twice, and keeps what was', () => {
  const { rig, system } = lonely();
  expect(() => system.addPort('p2', { number: 1, priority: 0 }, rig.now)).toThrow(
    'LACP port 1 is p1 already, so not p2',
  );
  system.addPort('p1', { number: 7, priority: 0 }, rig.now);
  expect(rig.row('a/p1').actor).toMatchObject({ port: 7, portPriority: 0 });
});

it('may be called again by what sends for it', () => {
  const systems: LacpSystem[] = [];
  const other = (index: number) => (id: string, frame: Uint8Array) => systems[1 - index]!.receive(id, frame, 0);
  for (const index of [0, 1])
    systems.push(new LacpSystem(lacpSettings({ systemMac: `02:00:00:00:0${index}:00` }), 1, 0, other(index)));
  for (const system of systems) system.addPort('p1', { number: 1, priority: 1 }, 0);
  for (const system of systems) system.link('p1', true, 1e9, SOURCE, 0);
  for (const system of systems) expect(system.row('p1').receive).toBe('CURRENT');
});

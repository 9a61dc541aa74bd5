import { describe, expect, test } from 'vitest';
import { LEAD_BYTES, remoteAddress, writeArrival } from '../../../bench/path/pool.ts';
import { chooseScenarios } from '../../../bench/path/scenarios.ts';
import { MAP_VNIS_COUNT, tunnelSetup, vniSetup, writeTunnel } from '../../../bench/path/tunnels.ts';
import { REMOTE_SLOTS_COUNT } from '../../../dataplane/limits.ts';
import { Lane } from '../../../dataplane/memory/lane.ts';
import { plainArena } from '../../../dataplane/memory/layout.ts';
import { Arrival, RemoteWord } from '../../../dataplane/memory/tunnel-words.ts';
import { View } from '../../../dataplane/memory/view.ts';
import { remoteAt, remoteSlot } from '../../../dataplane/tables/tunnel-layout.ts';

const scenario = (name: string) => {
  const found = chooseScenarios([name]).find((each) => each.name === name);
  if (found === undefined) throw new Error(`no scenario ${name}`);
  return found;
};

describe('what counts comes first', () => {
  test('out of a tunnel: frames from the access port; in by it: datagrams at its endpoint', () => {
    const out = tunnelSetup(scenario('vxlan-64'));
    const back = tunnelSetup(scenario('vxlan-64-in'));
    expect(out.feeds.map(({ port }) => port)).toEqual([1, 3]);
    expect(back.feeds.map(({ port }) => port)).toEqual([3, 1]);
    expect([out.sending, back.sending]).toEqual([1, 1]);
    expect(out.feeds[0]!.peer).toBe(out.feeds[1]!.base);
  });

  test('the one VNI before the many, as many feeds of each, all addresses different', () => {
    for (const name of ['vni-10000', 'vni-10000-in']) {
      const { feeds, sending } = vniSetup(scenario(name));
      const counted = feeds.slice(0, 2 * sending);
      expect(counted.map(({ nets }) => nets)).toEqual([1, 1, 1, MAP_VNIS_COUNT, MAP_VNIS_COUNT, MAP_VNIS_COUNT]);
      expect(counted.every(({ arrival }) => (arrival !== null) === name.endsWith('-in'))).toBe(true);
      expect(new Set(feeds.map(({ base }) => base)).size).toBe(feeds.length);
    }
  });
});

test('10,002 VNIs, none twice, and the one of the twin', () => {
  const vnis = vniSetup(scenario('vni-10000')).ports.flatMap(({ tunnel }) =>
    (tunnel?.vlans ?? []).map(([, vni]) => vni),
  );
  expect(vnis).toHaveLength(3 * MAP_VNIS_COUNT + 1);
  expect(new Set(vnis).size).toBe(vnis.length);
});

test('an arrival lies before its head as the path reads it, and is moved as float64 unharmed', () => {
  const bytes = new Uint8Array(256).fill(0xa5);
  writeArrival(bytes, 128, 9, 0x123456);
  const words = new Int32Array(bytes.buffer);
  expect(new Uint8Array(bytes.buffer, (32 + Arrival.ADDRESS) * 4, 4)).toEqual(remoteAddress(9));
  expect(words[32 + Arrival.OUTER]).toBe(0);
  expect([...new Uint8Array(bytes.buffer, (32 + Arrival.HEADER) * 4, 8)]).toEqual([8, 0, 0, 0, 0x12, 0x34, 0x56, 0]);
  expect(new Float64Array(bytes.buffer, 128 - LEAD_BYTES, LEAD_BYTES / 8).some(Number.isNaN)).toBe(false);
});

test('remotes are found by their address', () => {
  const lane = new Lane(new View(plainArena({ workers: 1, fdbEntries: 1024 })), 0);
  const [tunnel] = tunnelSetup(scenario('vxlan-64')).tunnels;
  writeTunnel(lane, tunnel!);
  for (let k = 0; k < tunnel!.remotes; k++) {
    const address = new Int32Array(remoteAddress(k).buffer)[0]!;
    let slot = remoteSlot(tunnel!.port, address, 0, 0, 0);
    for (; lane.i32[lane.remoteIndexAt + slot] !== tunnel!.first + k; slot = (slot + 1) % REMOTE_SLOTS_COUNT)
      expect(lane.i32[lane.remoteIndexAt + slot]).not.toBe(0);
    expect(lane.i32[remoteAt(lane.remotesAt, tunnel!.first + k) + RemoteWord.ADDRESS]).toBe(address);
  }
});

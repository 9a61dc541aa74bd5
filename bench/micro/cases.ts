// What `bench micro` measures: functions of the path and the tables over a small switch in plain memory. Each case does `operations`
// operations a call, so that the loop around them weighs little; the sum that it answers keeps the engine from leaving them out.
import { drop } from '../../dataplane/counters.ts';
import { Drop } from '../../dataplane/drop.ts';
import { HEAD_BYTES } from '../../dataplane/limits.ts';
import { Queue } from '../../dataplane/memory/layout.ts';
import { parse } from '../../dataplane/path/1-parse.ts';
import { admit } from '../../dataplane/path/2-admit.ts';
import { learn, touch } from '../../dataplane/path/3-learn.ts';
import { decide } from '../../dataplane/path/4-decide.ts';
import { flood } from '../../dataplane/path/5-replicate.ts';
import { emit } from '../../dataplane/path/7-emit.ts';
import { express } from '../../dataplane/path/express.ts';
import { forwardByStages } from '../../dataplane/path/forward.ts';
import { shape } from '../../dataplane/path/shape.ts';
import { closeBatch, receiveFrame } from '../../dataplane/ports/receive.ts';
import { find, lookUp, refresh, valueFor } from '../../dataplane/tables/fdb.ts';
import { bridgeBits, bucketOf, domainBits, sealOf } from '../../dataplane/tables/fdb-layout.ts';
import { insert, remove } from '../../dataplane/tables/fdb-write.ts';
import { Form } from '../../dataplane/tables/flood-layout.ts';
import { sumBytes } from '../../dataplane/wire/checksum.ts';
import { flowHash } from '../../dataplane/wire/flow.ts';
import { Rig, tablePort } from '../../test/rig.ts';
import { spreadBits, writeHead } from '../path/pool.ts';

export interface Case {
  readonly name: string;
  readonly about: string;
  readonly operations: number;
  run(): number;
}

const BATCH = 64;
const KEYS = 1024;
const VLAN = 10;
const BRIDGE = 1;
const PORTS = 9;
const BITS = bridgeBits(BRIDGE);
const KEY1 = 0x5702 | domainBits(BRIDGE, VLAN);

/** A switch of nine access ports, 64 plain frames received on port 1 for an address on port 2, all known. */
function makeBatch(): Rig {
  const rig = new Rig({ fdbEntries: 65_536 });
  const ports = Array.from({ length: PORTS }, (_, k) => tablePort(k + 1, { vlan: { mode: 'access', tag: VLAN } }));
  rig.publish(ports, [{ number: BRIDGE, fdbLimit: 65_536, ageing: 300 }]);
  const frame = new Uint8Array(64);
  writeHead(frame, 0, 64, { destination: 1, source: 2, vlan: 0, serial: 0, isUdp: false });
  rig.send(2, frame);
  rig.edge.turn();
  for (let k = 0; k < BATCH; k++) {
    writeHead(frame, 0, 64, { destination: 2, source: 1000 + k, vlan: 0, serial: k, isUdp: false });
    receiveFrame(rig.lane, 1, frame, null);
  }
  closeBatch(rig.lane, 1, 0);
  forwardByStages(rig.lane, rig.lane.receiveListAt, BATCH, 1, 1);
  empty(rig);
  return rig;
}

/** What a native turn and settle do with the lists. */
function empty(rig: Rig): void {
  const { lane } = rig;
  for (let k = 0; k < lane.dirtyCount; k++)
    lane.i32[lane.queuesAt + lane.i32[lane.dirtyAt + k]! * Queue.WORDS + Queue.COUNT] = 0;
  lane.dirtyCount = 0;
  lane.replicasUsed = 0;
}

function stageCases(): Case[] {
  const rig = makeBatch();
  const { lane } = rig;
  const list = lane.receiveListAt;
  const slot = lane.i32[list]!;
  const of = (name: string, about: string, operations: number, run: () => number): Case => ({
    name,
    about,
    operations,
    run,
  });
  const batch = `a frame, of a batch of ${BATCH}`;
  return [
    of('parse', batch, BATCH, () => parse(lane, list, BATCH, 1)),
    of('admit', batch, BATCH, () => admit(lane, list, BATCH, 1)),
    of('touch', `${batch}: both buckets computed and loaded`, BATCH, () => {
      touch(lane, list, BATCH, 1);
      return lane.touched;
    }),
    of('learn', `${batch}: known sources`, BATCH, () => {
      learn(lane, list, BATCH, 1, 1);
      return lane.moves;
    }),
    of('decide', `${batch}: known destination`, BATCH, () => decide(lane, list, BATCH, 1)),
    of('emit', `${batch}: one egress`, BATCH, () => {
      for (let k = 0; k < BATCH; k++) emit(lane, lane.i32[list + k]!, 2, 0);
      empty(rig);
      return 0;
    }),
    of('stages', `${batch}: all seven`, BATCH, () => {
      forwardByStages(lane, list, BATCH, 1, 1);
      empty(rig);
      return 0;
    }),
    of('express', `${batch}: the short way`, BATCH, () => {
      const done = express(lane, list, BATCH, 1, 1) ? 1 : 0;
      empty(rig);
      return done;
    }),
    of(
      'shape',
      'a tag pushed and popped again',
      1,
      () => shape(lane, slot, Form.TAGGED) + shape(lane, slot, Form.UNTAGGED),
    ),
    of('flood', 'one frame to eight ports of one form', 1, () => {
      flood(lane, slot, 1);
      empty(rig);
      return 0;
    }),
    of('drop', 'one loss counted', 1, () => {
      drop(lane, 1, Drop.RUNT);
      return 0;
    }),
  ];
}

function tableCases(): Case[] {
  const { lane } = makeBatch();
  const keys = Int32Array.from({ length: KEYS }, (_, k) => spreadBits(k));
  const value = valueFor(lane, 3, BITS);
  for (const key of keys) insert(lane, key, KEY1, BITS, value);
  const bucket = (key: number): number => bucketOf(key, KEY1, lane.fdbBucketMask);
  const over = (name: string, about: string, step: (key: number) => number): Case => ({
    name,
    about: `${about}, over ${KEYS} addresses`,
    operations: KEYS,
    run() {
      let sum = 0;
      for (let k = 0; k < KEYS; k++) sum = (sum + step(keys[k]!)) | 0;
      return sum;
    },
  });
  return [
    over('fdb-look-up', 'bucket and look-up', (key) => lookUp(lane, bucket(key), key, KEY1, BITS)),
    over('fdb-refresh', 'bucket, find and "seen"', (key) => {
      const entry = find(lane, bucket(key), key, KEY1, BITS);
      refresh(lane, entry);
      return entry;
    }),
    over('fdb-insert', 'inserted and removed again', (key) => {
      const other = key ^ 0x0f0f0f;
      return insert(lane, other, KEY1 ^ 1, BITS, value) + (remove(lane, other, KEY1 ^ 1, BITS) ? 1 : 0);
    }),
    over('fdb-miss', 'an unknown address', (key) => lookUp(lane, bucket(~key), ~key, KEY1, BITS)),
    over('seal-of', 'what an entry is sealed with', (key) => sealOf(key, value)),
    over('bucket-of', 'the bucket of a key', bucket),
  ];
}

function wireCases(): Case[] {
  const bytes = new Uint8Array(2048).map((_, k) => k * 7);
  bytes.set([0x08, 0x00, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17], 12);
  return [
    { name: 'checksum', about: '1,480 bytes summed', operations: 1, run: () => sumBytes(bytes, 34, 34 + 1480, 0) },
    { name: 'flow-hash', about: 'UDP over IPv4', operations: 1, run: () => flowHash(bytes, 0, HEAD_BYTES, 12) },
  ];
}

export function makeCases(): Case[] {
  return [...stageCases(), ...tableCases(), ...wireCases()];
}

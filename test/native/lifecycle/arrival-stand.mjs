/**
 * What stories of tunnels' sockets stand on: an engine turned by hand that receives at one port, and Python, which sends over loopback.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { Block, Fact, Flag } from '../../../dist/dataplane/memory/layout.js';
import { Arrival } from '../../../dist/dataplane/memory/tunnel-words.js';
import { addon } from '../../../dist/native/binding.js';
import { HandEngine } from './hand-engine.mjs';

export const PORT = 5;
const VNET_BYTES = 12;
export const native = addon();
const layout = HandEngine.arena(2);
export const engine = new HandEngine(0, layout);
const { i32, u8, at } = engine;
const settings = { env: { ...process.env, LD_PRELOAD: '' } };
export const ip = (...args) => execFileSync('ip', args, settings).toString();
ip('link', 'set', 'lo', 'up', 'multicast', 'on');

/** Each message of the list on stdin: where to, from which address, its bytes, and how many of them are a datagram. */
const SENDER = `
import json, socket, struct, sys
for m in json.load(sys.stdin):
    v6 = ':' in m['to']
    family = socket.AF_INET6 if v6 else socket.AF_INET
    gre = m.get('gre', False)
    s = socket.socket(family, socket.SOCK_RAW if gre else socket.SOCK_DGRAM, 47 if gre else 0)
    if v6:
        s.setsockopt(41, socket.IPV6_TCLASS, m.get('tos', 0))
        s.setsockopt(41, socket.IPV6_MULTICAST_IF, m.get('device', 1))
    else:
        s.setsockopt(0, socket.IP_TOS, m.get('tos', 0))
        s.setsockopt(0, socket.IP_MULTICAST_IF, struct.pack('4s4si', b'', b'', m.get('device', 1)))
    s.bind((m.get('from', '::1' if v6 else '127.0.0.1'), 0))
    if 'size' in m: s.setsockopt(17, 103, m['size'])
    for _ in range(m.get('times', 1)):
        s.sendto(bytes.fromhex(m['bytes']), (m['to'], 0 if gre else m.get('port', 4789)))
`;
export function send(...messages) {
  const input = JSON.stringify(messages.map((message) => ({ ...message, bytes: message.bytes.toString('hex') })));
  execFileSync('python3', ['-c', SENDER], { ...settings, input, maxBuffer: 1 << 26 });
}

export const vxlan = (vni, ...frames) =>
  Buffer.concat(frames.flatMap((frame) => [Buffer.from([8, 0, 0, 0, vni >> 16, vni >> 8, vni, 0]), frame]));
/** A frame of no protocol that tells its number. */
export function frameOf(number, bytes) {
  const frame = Buffer.alloc(bytes, number);
  frame.writeUInt32BE(number, 6);
  frame.writeUInt16BE(0x88b5, 12);
  return frame;
}

export function open(options) {
  const handle = native.openTunnelReceiver({ kind: 'vxlan', local: '127.0.0.1', port: 4789, workers: 1, ...options });
  const answer = native.attachQueue(PORT, handle, 0);
  if (answer !== 0) throw new Error(`attach: ${answer}`);
  return handle;
}
export function close(handle) {
  native.detachQueue(PORT);
  engine.turn();
  native.closeDevice(handle);
}

/** The frames of some turns, wholly in the arena. */
export function receive(turns = 4) {
  i32[at.block + Block.WHOLE] = 1;
  const all = [];
  for (let k = 0; k < turns; k++) all.push(...engine.turn().map(({ slot, length }) => look(slot, length)));
  return all;
}
function look(slot, length) {
  const head = i32[engine.fact(slot, Fact.HEAD_AT)];
  const word = (which) => i32[(head >> 2) + which];
  const vnet = head - VNET_BYTES;
  return {
    frame: Buffer.from(u8.slice(head, head + length)),
    address: Buffer.from(u8.slice(head + Arrival.ADDRESS * 4, head + Arrival.ADDRESS * 4 + 16)).toString('hex'),
    outer: word(Arrival.OUTER),
    header: Buffer.from(u8.slice(head + Arrival.HEADER * 4, head + Arrival.HEADER * 4 + 8)).toString('hex'),
    vnet:
      (i32[engine.fact(slot, Fact.FLAGS)] & Flag.VNET) === 0
        ? null
        : [...u8.slice(vnet, vnet + 2), u8[vnet + 4] | (u8[vnet + 5] << 8)],
  };
}
export const openFds = () => readdirSync('/proc/self/fd').length;
export const code = (call) => {
  try {
    call();
  } catch (error) {
    return [error.code, error.syscall, error.subject];
  }
  return 'none';
};

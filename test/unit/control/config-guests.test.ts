/** Ports for guests in a document: what is sound, and what a user is told of each way to get it wrong. */
import { describe, expect, it } from 'vitest';
import { parseYaml } from '../../../control/config/load.ts';
import { DocumentError, type Problem } from '../../../control/errors.ts';

function problems(text: string): readonly Problem[] {
  try {
    parseYaml(text, { cpus: [0] });
  } catch (error) {
    if (error instanceof DocumentError) return error.problems;
    throw error;
  }
  return [];
}

describe('ports for guests', () => {
  it('are sound in every form', () => {
    const ports = [
      '{ name: a, kind: vhost-user, socket: /run/a.sock, mode: client, queues: 16, mtu: 9000 }',
      '{ name: b, kind: netdev, device: vnet2, take-over: true, vlan: { mode: trunk, trunks: [10] } }',
      '{ name: host, kind: tap }',
      '{ name: eth7, kind: netdev }',
      '{ name: c, kind: socket, socket: /run/c.sock, group: kvm }',
      '{ name: d, kind: socket, socket: /run/d.sock, type: stream, mode: client }',
      '{ name: e, kind: socket, socket: /run/e.sock, type: dgram, remote: /run/e-guest.sock }',
    ];
    expect(problems(`bridges: [{ name: br0, ports: [${ports.join(', ')}] }]`)).toEqual([]);
  });

  it('have each their own device and socket, in all bridges of the document', () => {
    const found = problems(`
api: { socket: /run/api.sock }
bridges:
  - name: br0
    ports:
      - { name: a, kind: tap, device: eth7 }
      - { name: there, kind: tap, device: eth8, netns: x }
      - { name: eth8, kind: netdev }
      - { name: v, kind: vhost-user, socket: /run/./v.sock }
      - { name: w, kind: vhost-user, socket: /run/weft/weft.sock }
  - name: br1
    ports:
      - { name: b, kind: netdev, device: eth7 }
      - { name: c, kind: socket, socket: /run/v.sock, mode: client }
      - { name: d, kind: socket, socket: /run/api.sock }
`);
    expect(found.map(({ place, message }) => `${place}: ${message}`)).toEqual([
      'bridges[1].ports[0].device: the device "eth7" is already used at bridges[0].ports[0].device',
      'bridges[1].ports[1].socket: the socket /run/v.sock is already used at bridges[0].ports[3].socket',
      'bridges[1].ports[2].socket: the socket /run/api.sock is already used at api.socket',
    ]);
  });
});

describe('an interface that is taken over', () => {
  const found = (ports: string) =>
    problems(`bridges: [{ name: br0, ports: [${ports}] }]`).map(({ place, message }) => `${place}: ${message}`);
  const taken = (name: string) => `{ name: ${name}, kind: netdev, take-over: true }`;

  it('needs a TAP of its bridge on the host', () => {
    const missing = 'take-over: needs a tap port without netns in this bridge, to which addresses and routes can move';
    expect(found(taken('eth0'))).toEqual([`bridges[0].ports[0].${missing}`]);
    expect(found(`{ name: a, kind: tap, netns: x }, ${taken('eth0')}`)).toEqual([`bridges[0].ports[1].${missing}`]);
    expect(found(`${taken('eth0')}, { name: host, kind: tap }`)).toEqual([]);
  });

  it('gives that TAP what it has, so that the document can’t', () => {
    const host = '{ name: host, kind: tap, address: 192.0.2.1/24, mac: "02:00:00:00:00:01" }';
    expect(found(`${host}, ${taken('eth0')}`)).toEqual([
      'bridges[0].ports[0].address: comes from eth0, which is taken over: leave it out',
      'bridges[0].ports[0].mac: comes from eth0, which is taken over: leave it out',
    ]);
  });

  it('has that TAP for itself', () => {
    expect(found(`{ name: host, kind: tap }, ${taken('eth0')}, ${taken('eth1')}`)).toEqual([
      'bridges[0].ports[2].take-over: taking over into the tap port "host" is already used at bridges[0].ports[1].take-over',
    ]);
  });
});

describe('a port that is wrong', () => {
  it.each([
    ['{ name: p, kind: vhost-user }', 'socket: is missing (expected text)'],
    ['{ name: p, kind: vhost-user, socket: vm.sock }', 'socket: "vm.sock" is not an absolute path'],
    ['{ name: p, kind: socket, socket: /run/vm/ }', 'socket: "/run/vm/" is not the path of a file'],
    ['{ name: p, kind: socket, socket: "/run/a\\0b" }', 'socket: "/run/a\\u0000b" is not the path of a file'],
    [
      `{ name: p, kind: vhost-user, socket: /${'x'.repeat(107)} }`,
      "socket: the path has 108 bytes (a unix socket's has at most 107)",
    ],
    [
      '{ name: p, kind: vhost-user, socket: /s, queues: 17 }',
      'queues: 17 is not allowed (a whole number, 1–16 queue pairs)',
    ],
    ['{ name: p, kind: vhost-user, socket: /s, mode: listen }', 'mode: found "listen", expected server, client'],
    ['{ name: p, kind: vhost-user, socket: /s, take-over: true }', 'take-over: unknown key (a vhost-user port knows'],
    ['{ name: p, kind: tap, take-over: true }', 'take-over: unknown key (a tap port knows'],
    ['{ name: p, kind: netdev, device: e, take-over: yes }', 'take-over: found "yes", expected true or false'],
    ['{ name: p, kind: netdev, device: e, netns: x }', 'netns: unknown key (a netdev port knows'],
    ['{ name: longer-than-a-device, kind: netdev }', 'device: is missing, and the name can’t stand for it'],
    ['{ name: p, kind: vhost-user, socket: /s, group: "a b" }', 'group: "a b" is not the name of a group (as kvm)'],
    [
      '{ name: p, kind: vhost-user, socket: /s, mode: client, group: kvm }',
      'group: mode client does not know this key: the guest makes the socket',
    ],
    ['{ name: p, kind: socket, socket: /s, mode: client, group: kvm }', 'group: mode client does not know this key'],
    ['{ name: p, kind: netdev, device: e, group: kvm }', 'group: unknown key (a netdev port knows'],
    ['{ name: p, kind: socket, socket: /s, type: datagram }', 'type: found "datagram", expected stream, dgram'],
    ['{ name: p, kind: socket, socket: /s, type: dgram }', 'remote: is missing: type dgram needs the guest’s path'],
    [
      '{ name: p, kind: socket, socket: /s, remote: /r }',
      'remote: type stream does not know this key (type dgram does)',
    ],
    [
      '{ name: p, kind: socket, socket: /s, type: dgram, remote: /r, mode: client }',
      'mode: type dgram does not know this key: nobody listens, both have a path',
    ],
    [
      '{ name: p, kind: socket, socket: /s, type: dgram, remote: //s }',
      'remote: the socket //s is already used at bridges[0].ports[0].socket',
    ],
    [
      '{ name: p, kind: socket, socket: /run/weft/weft.sock }',
      'the socket /run/weft/weft.sock is already used at api.sock',
    ],
  ])('%s', (port, message) => {
    const [first] = problems(`bridges: [{ name: br0, ports: [${port}] }]`);
    expect(`${first?.place.replace(/^bridges\[0\]\.ports\[0\]\.?/, '')}: ${first?.message}`).toContain(message);
  });
});

/** What a plan says of bonds: what changes under traffic, and members that come and go. */
import { describe, expect, it } from 'vitest';
import { parseYaml } from '../../../control/config/load.ts';
import { fromDocument, type Model } from '../../../control/model/model.ts';
import { describe as describeAction } from '../../../control/plan/describe.ts';
import { plan } from '../../../control/plan/plan.ts';

const onePort = (port: string): Model => fromDocument(parseYaml(`{ bridges: [{ name: br0, ports: [${port}] }] }`));
const steps = (a: Model | null, b: Model) =>
  plan(a, b).actions.map((action) => {
    const { verb, subject, detail } = describeAction(action);
    return `${verb} ${subject}: ${detail}`;
  });

describe('what a plan says', () => {
  const bond = (keys: string, members = ['a', 'b']) =>
    onePort(
      `{ name: up, kind: bond, members: [${members.map((name) => `{ kind: netdev, device: eth-${name}, name: ${name} }`).join(', ')}], ${keys} }`,
    );

  it('of a bond and its members', () => {
    expect(steps(null, bond('vlan: { tag: 10 }')).slice(1)).toEqual([
      'add br0/up: bond active-backup of a, b, access 10',
      'add br0/up/a: member of up, netdev eth-a',
      'add br0/up/b: member of up, netdev eth-b',
    ]);
    expect(steps(bond('mode: 802.3ad'), onePort('')).map((line) => line.split(': ')[1])).toEqual([
      'bond 802.3ad of a, b, trunk all',
      'member of up, netdev eth-a',
      'member of up, netdev eth-b',
    ]);
  });

  it('of a bond that changes under traffic, without a word on what follows from its mode', () => {
    expect(steps(bond(''), bond('mode: 802.3ad', ['b', 'a', 'c']))).toEqual([
      'change br0/up: mode active-backup → 802.3ad; member c added; order of members a, b → b, a',
      'add br0/up/c: member of up, netdev eth-c',
    ]);
    expect(steps(bond('', ['a', 'b']), bond('primary: a, mtu: 9000', ['a']))).toEqual([
      'delete br0/up/b: member of up, netdev eth-b',
      'change br0/up: mtu 1500 → 9000; member b removed; primary none → a',
      'change br0/up/a: mtu 1500 → 9000',
    ]);
  });

  it('of every key of a bond', () => {
    const one = 'mode: 802.3ad';
    const other =
      'mode: 802.3ad, hash: layer2, hash-seed: 3, rebalance-interval: 0, updelay: 100, downdelay: 200, mac: 02:00:00:00:00:01, arp-source: 10.0.0.1, min-links: 2, ' +
      'lacp: { mode: passive, rate: fast, system-priority: 1, system-mac: 02:00:00:00:00:02, key: 7, select: count, fallback: true, strict: false }';
    const [line] = steps(bond(`${one}, mac: 02:00:00:00:00:09`), bond(other));
    expect(line!.replace('change br0/up: ', '').split('; ')).toEqual([
      'hash layer3+4 → layer2',
      'hash-seed 0 → 3',
      'rebalance-interval 10000 ms → never',
      'updelay 0 ms → 100 ms',
      'downdelay 0 ms → 200 ms',
      'mac 02:00:00:00:00:09 → 02:00:00:00:00:01',
      'arp-source none → 10.0.0.1',
      'min-links 1 → 2',
      'lacp.mode active → passive',
      'lacp.rate slow → fast',
      'lacp.system-priority 32768 → 1',
      'lacp.system-mac a member’s → 02:00:00:00:00:02',
      'lacp.key by speed → 7',
      'lacp.select stable → count',
      'lacp.fallback false → true',
      'lacp.strict true → false',
    ]);
    const [probes] = steps(
      bond('monitor: { targets: [10.0.0.9] }'),
      bond(
        'primary: a, primary-reselect: failure, monitor: { targets: [10.0.0.8, 10.0.0.9], interval: 100, missed-max: 3, validate: all, require: all, vlan: 7 }',
      ),
    );
    expect(probes!.replace('change br0/up: ', '').split('; ')).toEqual([
      'primary none → a',
      'primary-reselect always → failure',
      'monitor.targets 10.0.0.9 → 10.0.0.8, 10.0.0.9',
      'monitor.interval 1000 ms → 100 ms',
      'monitor.missed-max 2 → 3',
      'monitor.validate none → all',
      'monitor.require any → all',
      'monitor.vlan 0 → 7',
    ]);
    expect(steps(bond(''), bond('monitor: { targets: [10.0.0.9] }'))).toEqual([
      'change br0/up: monitor off → 10.0.0.9',
    ]);
    expect(steps(bond('mode: balance-rr'), bond('mode: balance-rr, packets-per-member: 4'))).toEqual([
      'change br0/up: packets-per-member 1 → 4',
    ]);
    const fast = (speed: string) =>
      onePort(`{ name: up, kind: bond, mode: 802.3ad, members: [{ kind: memory, name: a, priority: 9${speed} }] }`);
    expect(steps(fast(''), fast(', speed: 1G'))).toEqual([
      'change br0/up: speed of member a none → 1000000000',
      'change br0/up/a: speed none → 1000000000',
    ]);
  });
});

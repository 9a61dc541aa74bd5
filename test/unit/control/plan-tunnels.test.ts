/** What a plan says of tunnels: what changes under traffic, and what makes another port. */
import { describe, expect, it } from 'vitest';
import { parseYaml } from '../../../control/config/load.ts';
import { fromDocument, type Model } from '../../../control/model/model.ts';
import { describe as describeAction } from '../../../control/plan/describe.ts';
import { plan } from '../../../control/plan/plan.ts';

const model = (ports: string): Model => fromDocument(parseYaml(`{ bridges: [{ name: br0, ports: [${ports}] }] }`));
const tunnel = (keys: string) => model(`{ name: t, ${keys} }`);
const vxlan = (keys: string) => tunnel(`kind: vxlan, vni: 7, local: 192.0.2.1, ${keys}`);
const steps = (a: Model | null, b: Model) =>
  plan(a, b).actions.map((action) => {
    const { verb, subject, detail } = describeAction(action);
    return `${verb} ${subject}: ${detail}`;
  });

describe('what a plan says of a tunnel', () => {
  it.each([
    ['kind: vxlan, vni: 7, local: 192.0.2.1', 'vxlan 7 from 192.0.2.1, trunk all'],
    [
      'kind: geneve, vni: 7, local: 192.0.2.1, remotes: [192.0.2.2], group: 239.1.1.1, device: eth0, vlan: { tag: 10 }',
      'geneve 7 from 192.0.2.1 to 192.0.2.2, 239.1.1.1 on eth0, access 10',
    ],
    [
      'kind: gre, local: 192.0.2.1, remotes: [192.0.2.2, 192.0.2.3]',
      'gre from 192.0.2.1 to 192.0.2.2, 192.0.2.3, trunk all',
    ],
    ['kind: gre, key: 0, local: 192.0.2.1', 'gre key 0 from 192.0.2.1, trunk all'],
    [
      `kind: vxlan, vlans: { 1: 5001, 2: 5002, 3: 5003, 4: 5004, 5: 5005, 6: 5006 }, local: 192.0.2.1, remotes: [${Array.from({ length: 9 }, (_, k) => `10.0.0.${k}`).join(', ')}]`,
      'vxlan 1 ↔ 5001, 2 ↔ 5002, 3 ↔ 5003, 4 ↔ 5004 and 2 more from 192.0.2.1 to 9 remotes, trunk 1-6',
    ],
  ])('%s', (keys, text) => {
    expect(steps(model(''), tunnel(keys))).toEqual([`add br0/t: ${text}`]);
    expect(steps(tunnel(keys), model(''))).toEqual([`delete br0/t: ${text}`]);
  });

  it('changes it under traffic', () => {
    const other =
      'remotes: [192.0.2.3, 192.0.2.4], ttl: 64, tos: inherit, split-horizon: false, suppress: true, clamp-mss: true, ' +
      'remote-limit: 5, mtu: 1400';
    expect(steps(vxlan('remotes: [192.0.2.2, 192.0.2.3]'), vxlan(other))).toEqual([
      'change br0/t: mtu 65521 → 1400; remotes + 192.0.2.4 − 192.0.2.2; ttl the system’s → 64; tos 0 → inherit; ' +
        'split-horizon true → false; suppress false → true; clamp-mss false → true; remote-limit 1024 → 5',
    ]);
    expect(steps(vxlan('remotes: [192.0.2.2, 192.0.2.3]'), vxlan('remotes: [192.0.2.3, 192.0.2.2]'))).toEqual([
      'change br0/t: order of remotes',
    ]);
    const many = Array.from({ length: 20 }, (_, k) => `10.0.0.${k}`);
    expect(steps(vxlan(''), vxlan(`remotes: [${many.join(', ')}]`))).toEqual([
      `change br0/t: remotes + ${many.slice(0, 8).join(', ')} and 12 more`,
    ]);
    expect(steps(vxlan(''), vxlan('fdb: [{ mac: 02:00:00:00:00:01, remote: 192.0.2.2 }]'))).toEqual([
      'change br0/t: fdb 0 entries → 1 entries',
    ]);
  });

  it.each([
    ['vni: 7', 'vni: 8', 'vni 7 → 8'],
    ['vni: 7', 'vlans: { 10: 7 }', 'vni 7 → none; vlans none → 10 ↔ 7'],
    ['vlans: { 10: 7 }', 'vlans: { 10: 8 }', 'vlans 10 ↔ 7 → 10 ↔ 8'],
    ['vlans: { 1: 1, 2: 2, 3: 3, 4: 4, 5: 5 }', 'vlans: { 1: 1, 2: 2, 3: 3, 4: 4, 5: 6 }', 'vlans changes'],
    ['vni: 7, port: 4789', 'vni: 7, port: 8472', 'port 4789 → 8472'],
    ['vni: 7', 'vni: 7, group: 239.1.1.1, device: eth0', 'group none → 239.1.1.1; device none → eth0'],
    [
      'vni: 7, df: false, ttl: 3',
      'vni: 7, checksum: false, ttl: 4',
      'ttl 3 → 4; df false → true; checksum true → false',
    ],
  ])('makes it again: %s to %s', (before, after, why) => {
    const of = (keys: string) => tunnel(`kind: vxlan, local: 192.0.2.1, ${keys}`);
    const [gone, made, ...more] = steps(of(before), of(after));
    expect([gone, more]).toEqual([`delete br0/t: to make it again: ${why}`, []]);
    expect(made).toMatch(/^add br0\/t: vxlan /);
  });

  it('makes it again for another local, key or kind', () => {
    const first = (a: string, b: string) => steps(tunnel(a), tunnel(b))[0];
    expect(first('kind: gre, local: 192.0.2.1', 'kind: gre, local: 192.0.2.2')).toBe(
      'delete br0/t: to make it again: local 192.0.2.1 → 192.0.2.2',
    );
    expect(first('kind: gre, local: 192.0.2.1', 'kind: gre, key: 5, local: 192.0.2.1')).toBe(
      'delete br0/t: to make it again: key none → 5',
    );
    expect(first('kind: vxlan, vni: 7, local: 192.0.2.1', 'kind: geneve, vni: 7, local: 192.0.2.1')).toBe(
      'delete br0/t: to make it again: kind vxlan → geneve',
    );
  });

  it('nothing where only a spelling differs', () => {
    const spelled = (local: string) => tunnel(`kind: vxlan, vni: 7, local: '${local}', ttl: 64`);
    expect(steps(spelled('2001:db8::1'), spelled('2001:DB8:0::1'))).toEqual([]);
  });
});

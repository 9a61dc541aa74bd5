/**
 * The truth table of Open vSwitch's VLAN modes (OD "VLAN handling"; ovs-vswitchd.conf.db(5), Port, vlan_mode), with `vlan-limit` 2: what
 * enters where, what leaves how. Tags are hex, outermost first; every other byte of every frame is compared too.
 */
import { describe, expect, it } from 'vitest';
import type { VlanDocument } from '../../../control/config/document.ts';
import { Rig, tablePort } from '../../rig.ts';
import { A, ALL, B, frame, place, tagsOf } from './frames.ts';

const UNTAGGED = '';
const PRIORITY_5 = '8100a000';
const OWN = '8100600a';
const OTHER = '81006014';
const OUTSIDE = '8100601e';
const DOUBLE = '8100600a8100001e';
const SERVICE = '88a8600a';
const ARRIVALS = [UNTAGGED, PRIORITY_5, OWN, OTHER, OUTSIDE, DOUBLE, SERVICE];

const NOT = 'vlan-not-admitted';
const ON_ACCESS = 'tagged-on-access';

/** Per mode what each of ARRIVALS becomes inside: its tags as a trunk of everything with priority-tags `always` sends them. */
const IN: readonly (readonly [string, VlanDocument | undefined, readonly string[]])[] = [
  ['no vlan', undefined, ['81000000', PRIORITY_5, OWN, OTHER, OUTSIDE, DOUBLE, SERVICE]],
  ['trunk', { mode: 'trunk', trunks: [10, 20] }, [NOT, NOT, OWN, OTHER, NOT, DOUBLE, SERVICE]],
  ['trunk with 0', { mode: 'trunk', trunks: [0, 10] }, ['81000000', PRIORITY_5, OWN, NOT, NOT, DOUBLE, SERVICE]],
  [
    'access',
    { mode: 'access', tag: 10 },
    ['8100000a', '8100a00a', ON_ACCESS, ON_ACCESS, ON_ACCESS, ON_ACCESS, ON_ACCESS],
  ],
  [
    'native-tagged',
    { mode: 'native-tagged', tag: 10, trunks: [20] },
    ['8100000a', '8100a00a', OWN, OTHER, NOT, DOUBLE, SERVICE],
  ],
  [
    'native-untagged',
    { mode: 'native-untagged', tag: 10, trunks: [20] },
    ['8100000a', '8100a00a', OWN, OTHER, NOT, DOUBLE, SERVICE],
  ],
  [
    'native-untagged of all',
    { mode: 'native-untagged', tag: 10 },
    ['8100000a', '8100a00a', OWN, OTHER, OUTSIDE, DOUBLE, SERVICE],
  ],
  [
    'dot1q-tunnel, 802.1ad',
    { mode: 'dot1q-tunnel', tag: 100 },
    [
      '88a80064',
      `88a8a064${PRIORITY_5}`,
      `88a86064${OWN}`,
      `88a86064${OTHER}`,
      `88a86064${OUTSIDE}`,
      `88a86064${DOUBLE}`,
      `88a86064${SERVICE}`,
    ],
  ],
  [
    'dot1q-tunnel, 802.1Q in 802.1Q',
    { mode: 'dot1q-tunnel', tag: 100, ethertype: '802.1q' },
    [
      '81000064',
      `8100a064${PRIORITY_5}`,
      `81006064${OWN}`,
      `81006064${OTHER}`,
      `81006064${OUTSIDE}`,
      `81006064${DOUBLE}`,
      `81006064${SERVICE}`,
    ],
  ],
  [
    'dot1q-tunnel of two customers',
    { mode: 'dot1q-tunnel', tag: 100, cvlans: [10, 20] },
    [NOT, NOT, `88a86064${OWN}`, `88a86064${OTHER}`, NOT, `88a86064${DOUBLE}`, `88a86064${SERVICE}`],
  ],
  [
    'dot1q-tunnel of the untagged and one',
    { mode: 'dot1q-tunnel', tag: 100, cvlans: [0, 10] },
    ['88a80064', `88a8a064${PRIORITY_5}`, `88a86064${OWN}`, NOT, NOT, `88a86064${DOUBLE}`, `88a86064${SERVICE}`],
  ],
];

describe('OD "VLAN handling", in', () => {
  for (const [name, vlan, becomes] of IN) {
    ARRIVALS.forEach((tags, k) => {
      it(`${name}: ${tags || 'untagged'} → ${becomes[k]}`, () => {
        const rig = new Rig();
        rig.publish([tablePort(1, { vlan }), tablePort(2, { vlan: { mode: 'trunk', 'priority-tags': 'always' } })]);
        const out = rig.send(1, frame(ALL, A, tags)).get(2);
        if (becomes[k]!.includes('-')) {
          expect(out).toBeUndefined();
          expect(rig.drops()).toEqual({ [`1 ${becomes[k]}`]: 1 });
        } else {
          expect(out?.map((bytes) => tagsOf(bytes, ALL, A))).toEqual([becomes[k]]);
          expect(rig.drops()).toEqual({});
        }
      });
    });
  }
});

const VLAN_10 = '8100000a';
const VLAN_10_5 = '8100a00a';
const VLAN_20 = '81000014';
const VLAN_30 = '8100001e';
const INNER_PRIORITY = '8100600a81000000';
const SERVICE_30 = '88a860648100001e';
const SERVICE_31 = '88a860648100001f';
const SERVICE_ALONE = '88a86064';
const INSIDE = [
  UNTAGGED,
  PRIORITY_5,
  VLAN_10,
  VLAN_10_5,
  VLAN_20,
  VLAN_30,
  DOUBLE,
  INNER_PRIORITY,
  SERVICE_30,
  SERVICE_31,
  SERVICE_ALONE,
];
const NONE = 'nothing';

/** Per mode how each of INSIDE leaves. */
const OUT: readonly (readonly [string, VlanDocument | undefined, readonly string[]])[] = [
  ['no vlan', undefined, [UNTAGGED, UNTAGGED, ...INSIDE.slice(2)]],
  [
    'trunk, priority-tags if-nonzero',
    { mode: 'trunk', 'priority-tags': 'if-nonzero' },
    [UNTAGGED, PRIORITY_5, ...INSIDE.slice(2)],
  ],
  [
    'trunk, priority-tags always',
    { mode: 'trunk', 'priority-tags': 'always' },
    ['81000000', PRIORITY_5, ...INSIDE.slice(2)],
  ],
  [
    'trunk',
    { mode: 'trunk', trunks: [10, 20] },
    [NONE, NONE, VLAN_10, VLAN_10_5, VLAN_20, NONE, DOUBLE, INNER_PRIORITY, NONE, NONE, NONE],
  ],
  [
    'access',
    { mode: 'access', tag: 10 },
    [NONE, NONE, UNTAGGED, UNTAGGED, NONE, NONE, NONE, '81000000', NONE, NONE, NONE],
  ],
  [
    'access, priority-tags if-nonzero',
    { mode: 'access', tag: 10, 'priority-tags': 'if-nonzero' },
    [NONE, NONE, UNTAGGED, PRIORITY_5, NONE, NONE, NONE, '8100600081000000', NONE, NONE, NONE],
  ],
  [
    'access, priority-tags always',
    { mode: 'access', tag: 10, 'priority-tags': 'always' },
    [NONE, NONE, '81000000', PRIORITY_5, NONE, NONE, NONE, '8100600081000000', NONE, NONE, NONE],
  ],
  [
    'native-tagged',
    { mode: 'native-tagged', tag: 10, trunks: [20] },
    [NONE, NONE, VLAN_10, VLAN_10_5, VLAN_20, NONE, DOUBLE, INNER_PRIORITY, NONE, NONE, NONE],
  ],
  [
    'native-untagged',
    { mode: 'native-untagged', tag: 10, trunks: [20] },
    [NONE, NONE, UNTAGGED, UNTAGGED, VLAN_20, NONE, '8100001e', '81000000', NONE, NONE, NONE],
  ],
  [
    'native-untagged, priority-tags if-nonzero',
    { mode: 'native-untagged', tag: 10, trunks: [20], 'priority-tags': 'if-nonzero' },
    [NONE, NONE, UNTAGGED, PRIORITY_5, VLAN_20, NONE, '810060008100001e', '8100600081000000', NONE, NONE, NONE],
  ],
  [
    'dot1q-tunnel',
    { mode: 'dot1q-tunnel', tag: 100 },
    [NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, '8100001e', '8100001f', UNTAGGED],
  ],
  [
    'dot1q-tunnel of one customer',
    { mode: 'dot1q-tunnel', tag: 100, cvlans: [30] },
    [NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, '8100001e', NONE, NONE],
  ],
  [
    'dot1q-tunnel of the untagged',
    { mode: 'dot1q-tunnel', tag: 100, cvlans: [0] },
    [NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, UNTAGGED],
  ],
];

function vidOf(tags: string): number {
  return tags === '' ? 0 : Number.parseInt(tags.slice(4, 8), 16) & 0xfff;
}

describe('OD "VLAN handling", out', () => {
  for (const [name, vlan, becomes] of OUT) {
    INSIDE.forEach((tags, k) => {
      const wanted = becomes[k]!;
      const ports = [tablePort(1), tablePort(2, { vlan })];

      it(`${name}: a broadcast ${tags || 'untagged'} → ${wanted || 'untagged'}`, () => {
        const rig = new Rig();
        rig.publish(ports);
        const out = rig.send(1, frame(ALL, A, tags)).get(2);
        expect(out?.map((bytes) => tagsOf(bytes, ALL, A)) ?? [NONE]).toEqual([wanted]);
        expect(rig.drops()).toEqual(wanted === NONE ? { '1 no-egress': 1 } : {});
      });

      it(`${name}: to a known address ${tags || 'untagged'} → ${wanted || 'untagged'}`, () => {
        const rig = new Rig();
        rig.publish(ports);
        place(rig, B, vidOf(tags), 2);
        const out = rig.send(1, frame(B, A, tags)).get(2);
        expect(out?.map((bytes) => tagsOf(bytes, B, A)) ?? [NONE]).toEqual([wanted]);
        expect(rig.drops()).toEqual(wanted === NONE ? { '2 egress-vlan': 1 } : {});
      });
    });
  }
});

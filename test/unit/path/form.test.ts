/** The form of a frame at an egress is told twice: by compile, for flood sets, and by the path, for one port. They must agree. */
import { expect, it } from 'vitest';
import { formOf } from '../../../control/compile/flood-pool.ts';
import { carriesVlan } from '../../../control/model/vlan.ts';
import { formFor } from '../../../dataplane/path/shape.ts';
import { Form } from '../../../dataplane/tables/flood-layout.ts';
import { Rig, tablePort } from '../../rig.ts';

const MODES = ['trunk', 'access', 'native-tagged', 'native-untagged', 'dot1q-tunnel'] as const;
const PRIORITIES = ['never', 'if-nonzero', 'always'] as const;
const VIDS = [0, 1, 9, 10, 11, 4094];

it.each(MODES)('%s: compile and path give every VLAN the same form', (mode) => {
  const tags = mode === 'trunk' ? [undefined] : [1, 10, 4094];
  const ports = tags
    .flatMap((tag) =>
      PRIORITIES.map((priorities) => ({
        mode,
        'priority-tags': priorities,
        ...(tag === undefined ? {} : { tag }),
      })),
    )
    .map((vlan, k) => tablePort(k + 1, { vlan }));
  const rig = new Rig();
  rig.publish(ports);
  let compared = 0;
  for (const { number, vlan } of ports) {
    for (const vid of VIDS.filter((one) => carriesVlan(vlan, one))) {
      expect(formFor(rig.lane, number, vid), `${JSON.stringify(vlan)}, VLAN ${vid}`).toBe(formOf(vlan, vid));
      compared++;
    }
  }
  expect(compared).toBeGreaterThanOrEqual(ports.length);
});

it('a tunnel whose VNIs stand for VLANs: both give every VLAN no tag', () => {
  const vlans = [
    [1, 5001],
    [10, 5010],
    [4094, 0],
  ] as const;
  const tunnel = {
    kind: 'vxlan',
    vni: null,
    vlans,
    ttl: 0,
    tos: 0,
    splitHorizon: true,
    suppress: false,
    clampMss: false,
    endpoint: 9,
    remotes: [],
  } as const;
  const rig = new Rig();
  const port = tablePort(1, { vlan: { trunks: [1, 10, 4094] }, tunnel });
  rig.publish([port]);
  for (const [vid] of vlans) {
    expect(formOf(port.vlan, vid, true)).toBe(Form.UNTAGGED);
    expect(formFor(rig.lane, 1, vid)).toBe(Form.UNTAGGED);
  }
});

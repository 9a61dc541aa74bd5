/** The form of a frame at an egress is told twice: by compile, for flood sets, and by the path, for one port. They must agree. */
import { expect, it } from 'vitest';
import { formOf } from '../../../control/compile/flood-pool.ts';
import { carriesVlan } from '../../../control/model/vlan.ts';
import { formFor } from '../../../dataplane/path/shape.ts';
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

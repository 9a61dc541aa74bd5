/** What a monitor is told of a member from before. */
import { expect, it } from 'vitest';
import { TargetMonitor } from '../../../../control/bonding/monitor.ts';
import { buildArpFrame } from '../../../../dataplane/wire/build.ts';
import { MONITOR } from './rig.ts';

const OURS = '02:00:00:00:00:01';

it('believes nothing of a member that is known to be dead until it shows life', () => {
  const settings = { ...MONITOR, targets: ['192.0.2.9'], validate: 'all' } as const;
  const monitor = new TargetMonitor(settings, OURS, ['192.0.2.1'], 0, () => undefined);
  monitor.addMember('a', 0, OURS, false);
  monitor.carrying(['a'], 0);
  monitor.tick(10, () => 0);
  expect(monitor.alive('a')).toBe(false);
  const addresses = {
    senderMac: '02:00:00:00:00:09',
    senderAddress: '192.0.2.9',
    targetMac: OURS,
    targetAddress: '192.0.2.1',
  };
  monitor.receive('a', buildArpFrame({ operation: 2, vlan: [], ...addresses }), 20);
  expect(monitor.alive('a')).toBe(true);
});

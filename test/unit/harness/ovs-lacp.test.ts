import { expect, test } from 'vitest';
import { parseLacpShow } from '../../interop/ovs.ts';

const TEXT = `---- bond0 ----
  status: active negotiated
  sys_id: 02:00:00:00:00:77
  sys_priority: 65534
  aggregation key: 1
  lacp_time: fast

member: f0: current attached
  port_id: 1
  port_priority: 65535
  may_enable: true

  actor sys_id: 02:00:00:00:00:77
  actor sys_priority: 65534
  actor port_id: 1
  actor port_priority: 65535
  actor key: 1
  actor state: activity timeout aggregation synchronized collecting distributing

  partner sys_id: 02:00:00:00:00:01
  partner sys_priority: 32768
  partner port_id: 2
  partner port_priority: 7
  partner key: 5
  partner state: activity aggregation

member: f1: defaulted detached
  port_id: 2
  port_priority: 65535
  may_enable: false

  actor sys_id: 02:00:00:00:00:77
  actor sys_priority: 65534
  actor port_id: 2
  actor port_priority: 65535
  actor key: 1
  actor state: activity timeout aggregation defaulted

  partner sys_id: 00:00:00:00:00:00
  partner sys_priority: 0
  partner port_id: 0
  partner port_priority: 0
  partner key: 0
  partner state:
`;

test('what Open vSwitch says of its LACP members', () => {
  const [first, second, ...rest] = parseLacpShow(TEXT);
  expect(rest).toEqual([]);
  expect(first).toMatchObject({ name: 'f0', status: 'current', attached: true, enabled: true });
  expect(first!.actor).toMatchObject({ system: '02:00:00:00:00:77', systemPriority: 65534, port: 1, key: 1 });
  expect(first!.actor.state).toHaveLength(6);
  expect(first!.partner).toEqual({
    ...{ system: '02:00:00:00:00:01', systemPriority: 32768, port: 2, portPriority: 7, key: 5 },
    state: ['activity', 'aggregation'],
  });
  expect(second).toMatchObject({ name: 'f1', status: 'defaulted', attached: false, enabled: false });
  expect(second!.partner.state).toEqual([]);
});

/** Rows of tunnels for tests of what people meet: a VXLAN with a remote that is gone, one of a map and a group, and a GRE that is down. */
import type { TunnelRemoteRow, TunnelRow } from '../../../control/tunnel-rows.ts';

export function remoteRow(address: string, change: Partial<TunnelRemoteRow> = {}): TunnelRemoteRow {
  return {
    address,
    origin: 'configured',
    vni: null,
    state: 'up',
    reason: null,
    device: 'eth0',
    pathMtu: 1500,
    mtu: 1450,
    fdbEntries: 0,
    ...change,
  };
}

export const POD7: TunnelRow = {
  bridge: 'br0',
  name: 'pod7',
  kind: 'vxlan',
  up: true,
  reason: null,
  vni: 5007,
  vlans: null,
  local: '192.0.2.1',
  udpPort: 4789,
  group: null,
  device: null,
  mtu: 1450,
  mtuFixed: false,
  mtuUnderlay: 1450,
  df: true,
  overhead: 50,
  tooLarge: [],
  remoteLimit: 1024,
  remotes: [
    remoteRow('192.0.2.2', { fdbEntries: 12 }),
    remoteRow('192.0.2.3', {
      state: 'unreachable',
      reason: 'there is no route',
      device: null,
      pathMtu: 0,
      mtu: 0,
    }),
    remoteRow('192.0.2.4', { origin: 'learned', fdbEntries: 1 }),
  ],
  endpoint: {
    name: 'vxlan 192.0.2.1:4789',
    kind: 'vxlan',
    datagrams: 1_234_567,
    messages: 30_000,
    merged: 900_000,
    missed: 3,
  },
  sender: { local: '192.0.2.1', kind: 'vxlan', datagrams: 2_000_000, messages: 50_000, errors: 2 },
};

export const MAPPED: TunnelRow = {
  ...POD7,
  name: 'trunk',
  kind: 'geneve',
  vni: null,
  vlans: [10, 20, 30, 40].map((vlan) => ({ vlan, vni: 5000 + vlan })),
  local: '2001:db8::1',
  udpPort: 6081,
  group: 'ff05::1',
  device: 'eth1',
  mtu: 1500,
  mtuFixed: true,
  mtuUnderlay: 1430,
  overhead: 70,
  tooLarge: ['web', 'db'],
  remotes: [
    remoteRow('ff05::1', { origin: 'group', device: 'eth1', mtu: 1430 }),
    remoteRow('2001:db8::2', {
      state: 'refused',
      reason: 'nobody listens there',
      origin: 'static',
      vni: 77,
      mtu: 1430,
    }),
  ],
  endpoint: null,
  sender: null,
};

export const PLAIN: TunnelRow = {
  ...POD7,
  bridge: 'br1',
  name: 'pod7',
  kind: 'gre',
  up: false,
  reason: '192.0.2.9 is not an address of this machine',
  vni: null,
  local: '192.0.2.9',
  udpPort: null,
  mtu: 0,
  mtuUnderlay: 0,
  overhead: 38,
  remotes: [],
  endpoint: null,
  sender: null,
};

/** Tunnels in the model: every default, addresses in one spelling, and what a map of VLANs makes of its port. */
import { describe, expect, it } from 'vitest';
import { parseYaml } from '../../../control/config/load.ts';
import { MTU_MAX } from '../../../control/config/values.ts';
import { withFdbEntry, withoutFdbEntry } from '../../../control/model/edit.ts';
import { fromDocument, isTunnel, type TunnelModel } from '../../../control/model/model.ts';

function tunnelOf(keys: string): TunnelModel {
  const port = fromDocument(parseYaml(`bridges: [{ name: br0, ports: [{ name: t, ${keys} }] }]`)).bridges[0]!.ports[0]!;
  if (!isTunnel(port)) throw new Error('no tunnel');
  return port;
}

const DEFAULTS = {
  vni: 7,
  vlans: null,
  local: '192.0.2.1',
  remotes: [],
  group: null,
  device: null,
  ttl: 0,
  tos: 0,
  df: true,
  checksum: true,
  splitHorizon: true,
  suppress: false,
  clampMss: false,
  remoteLimit: 1024,
};

describe('a tunnel in the model', () => {
  it('has every default of its kind', () => {
    const of = (kind: string, network: string) => tunnelOf(`kind: ${kind}, ${network}, local: 192.0.2.1`);
    const vxlan = of('vxlan', 'vni: 7');
    expect(vxlan.settings).toEqual({ kind: 'vxlan', port: 4789, ...DEFAULTS });
    expect(of('geneve', 'vni: 7').settings).toEqual({ kind: 'geneve', port: 6081, ...DEFAULTS });
    expect(of('gre', 'key: 7').settings).toEqual({ kind: 'gre', port: 0, ...DEFAULTS, checksum: false });
    expect(of('gre', 'mtu: 1400').settings.vni).toBeNull();
    expect(vxlan).toMatchObject({ kind: 'vxlan', memberOf: null, learning: true, fdb: [] });
    expect(vxlan.vlan).toMatchObject({ mode: 'trunk', trunks: null });
  });

  it('has the MTU that is written, and else no bound of its own', () => {
    expect(tunnelOf('kind: gre, local: 192.0.2.1').mtu).toBe(MTU_MAX);
    expect(tunnelOf('kind: gre, local: 192.0.2.1, mtu: 1400').mtu).toBe(1400);
  });

  it('has every key as written', () => {
    const keys =
      'vni: 0, local: 192.0.2.1, remotes: [192.0.2.3, 192.0.2.2], group: 239.1.1.1, device: eth0, port: 8472, ttl: 9, ' +
      'tos: inherit, df: false, checksum: false, split-horizon: false, suppress: true, clamp-mss: true, remote-limit: 0';
    expect(tunnelOf(`kind: vxlan, ${keys}`).settings).toEqual({
      kind: 'vxlan',
      vni: 0,
      vlans: null,
      local: '192.0.2.1',
      remotes: ['192.0.2.3', '192.0.2.2'],
      group: '239.1.1.1',
      device: 'eth0',
      port: 8472,
      ttl: 9,
      tos: 'inherit',
      df: false,
      checksum: false,
      splitHorizon: false,
      suppress: true,
      clampMss: true,
      remoteLimit: 0,
    });
  });

  it('has one spelling of each address', () => {
    const keys =
      "local: '2001:DB8:0:0::1', remotes: ['2001:db8::A'], group: 'FF05:0::1', device: eth0, " +
      "fdb: [{ mac: 02-00-00-00-00-01, remote: '2001:0db8::B' }]";
    const { settings, fdb } = tunnelOf(`kind: vxlan, vni: 7, ${keys}`);
    expect([settings.local, ...settings.remotes, settings.group]).toEqual(['2001:db8::1', '2001:db8::a', 'ff05::1']);
    expect(fdb).toEqual([{ mac: '02:00:00:00:00:01', vlan: 0, type: 'static', remote: '2001:db8::b', vni: null }]);
  });

  it('is a trunk of the VLANs of its map', () => {
    const { settings, vlan } = tunnelOf('kind: vxlan, vlans: { 20: 5020, 9: 0 }, local: 192.0.2.1');
    expect(settings).toMatchObject({
      vni: null,
      vlans: [
        [9, 0],
        [20, 5020],
      ],
    });
    expect(vlan).toMatchObject({ mode: 'trunk', tag: null, trunks: [9, 20] });
    const one = tunnelOf('kind: vxlan, vni: 9, vlan: { mode: access, tag: 9 }, local: 192.0.2.1');
    expect([one.vlan.mode, one.vlan.tag, one.settings.vlans]).toEqual(['access', 9, null]);
  });
});

it('static entries behind remotes are added to the document and taken from it', () => {
  const document = parseYaml('bridges: [{ name: br0, ports: [{ name: t, kind: vxlan, vni: 7, local: 192.0.2.1 }] }]');
  const mac = '02:00:00:00:00:01';
  const first = withFdbEntry(document, 'br0', 't', { mac, remote: '192.0.2.2', vni: 9 });
  expect(fromDocument(first).bridges[0]!.ports[0]!.fdb).toEqual([
    { mac, vlan: 0, type: 'static', remote: '192.0.2.2', vni: 9 },
  ]);
  const moved = withFdbEntry(first, 'br0', 't', { mac, remote: '192.0.2.3' });
  expect(fromDocument(moved).bridges[0]!.ports[0]!.fdb).toEqual([
    { mac, vlan: 0, type: 'static', remote: '192.0.2.3', vni: null },
  ]);
  expect(withoutFdbEntry(moved, 'br0', 0, mac)).toEqual(document);
});

it('an entry without a VLAN is in that of its port', () => {
  const mac = '02:00:00:00:00:01';
  const vlanIn = (vlan: object) => {
    const ports = [{ name: 'p', kind: 'memory', ...vlan }] as const;
    const document = { bridges: [{ name: 'br0', ports: [...ports] }] } as Parameters<typeof withFdbEntry>[0];
    return withFdbEntry(document, 'br0', 'p', { mac }).bridges[0]!.ports![0]!.fdb![0]!.vlan;
  };
  expect(vlanIn({})).toBe(0);
  expect(vlanIn({ vlan: { mode: 'access', tag: 10 } })).toBe(10);
  expect(vlanIn({ vlan: { mode: 'native-untagged', tag: 7, trunks: [7, 8] } })).toBe(7);
  expect(vlanIn({ vlan: { mode: 'trunk', trunks: [7, 8] } })).toBe(0);
});

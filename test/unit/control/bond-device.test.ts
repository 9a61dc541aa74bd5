/** A running bond: members without an address of their own, as guests and sockets, and such as are taken away. */
import { afterEach, expect, it, vi } from 'vitest';
import { BondTable } from '../../../control/compile/bond-table.ts';
import { Injector } from '../../../control/running/injector.ts';
import { parseLacpdu } from '../../../dataplane/wire/lacp-value.ts';
import { formatMac } from '../../../dataplane/wire/text.ts';
import { FakeOpener } from './fake-opener.ts';
import { rig, tap } from './running-rig.ts';

const BOND_MAC = '02:00:00:00:00:0b';
const HOST_MAC = '02:00:00:00:00:0c';
const LINK_MAC = '02:00:00:00:00:0d';
/** Where the Ethernet header's source stands, and what is behind it. */
const SOURCE_AT = 6;
const PAYLOAD_AT = 14;

afterEach(() => void vi.restoreAllMocks());

/** A switch with a TAP and a bond over a socket and an interface, both there; and what the bond sent by each from then on. */
async function stand(bond: object) {
  const opener = new FakeOpener();
  opener.opening = (device) => {
    device.come(1);
    if (device.host.port === 'up/nic') Object.assign(device, { link: { speed: 1e9, mac: LINK_MAC } });
  };
  const { base, start, apply, orders } = rig({ socket: opener, netdev: opener });
  const inject = vi.spyOn(Injector.prototype, 'inject');
  const steer = vi.spyOn(BondTable.prototype, 'steer');
  const members = [
    { kind: 'socket', name: 'vm', socket: '/run/vm.sock' },
    { kind: 'netdev', name: 'nic', device: 'eth1' },
  ];
  const ports = [tap('host', { mac: HOST_MAC }), { name: 'up', kind: 'bond', mac: BOND_MAC, members, ...bond }];
  await start(ports);
  const sentBy = (member: string): Uint8Array[] => {
    const { number } = base.book.port('br0', `up/${member}`);
    return inject.mock.calls.flatMap(([port, , frame]) => (port === number ? [frame] : []));
  };
  const takeAway = (name: string) =>
    apply(ports, [ports[0]!, { ...ports[1], members: members.filter((member) => member.name !== name) }]);
  return { base, steer, sentBy, orders, takeAway };
}

it('LACPDUs by a member without an address come from the bond’s', async () => {
  const { sentBy } = await stand({ mode: '802.3ad' });
  const [pdu] = sentBy('vm');
  expect(formatMac(pdu!, SOURCE_AT)).toBe(BOND_MAC);
  expect(parseLacpdu(pdu!, PAYLOAD_AT, pdu!.length).actor.system).not.toBe('00:00:00:00:00:00');
  expect(formatMac(sentBy('nic')[0]!, SOURCE_AT)).toBe(LINK_MAC);
});

it.each(['balance-slb', 'balance-tlb'])(
  '%s asks its targets as the bond where a member has no address',
  async (mode) => {
    const { sentBy } = await stand({ mode, monitor: { targets: ['192.0.2.9'] } });
    await expect.poll(() => sentBy('vm').length).toBeGreaterThan(0);
    expect(formatMac(sentBy('vm')[0]!, SOURCE_AT)).toBe(BOND_MAC);
    expect(formatMac(sentBy('nic')[0]!, SOURCE_AT)).toBe(LINK_MAC);
  },
);

it('balance-alb gives no peer the address of nobody', async () => {
  const { steer } = await stand({ mode: 'balance-alb' });
  expect(steer.mock.lastCall![1].own).toEqual({ mac: HOST_MAC, addresses: [HOST_MAC, LINK_MAC] });
});

it('what is said at last by a member that is taken away is sent before it leaves the tables', async () => {
  const { base, orders, takeAway } = await stand({ mode: '802.3ad' });
  const steps: string[] = [];
  const publish = base.publish.bind(base);
  vi.spyOn(base, 'publish').mockImplementation(() => {
    steps.push(...orders.splice(0).map(({ type }) => type), 'publish');
    return publish();
  });
  await takeAway('nic');
  expect(steps.slice(0, 2)).toEqual(['sync', 'publish']);
});

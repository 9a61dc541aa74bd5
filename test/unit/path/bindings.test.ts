/** What a tunnel's hosts tell of their addresses: what goes up to control, what it believes, and how long. */
import { describe, expect, it } from 'vitest';
import type { VlanDocument } from '../../../control/config/document.ts';
import { buildArpFrame } from '../../../dataplane/wire/build.ts';
import {
  advertisement,
  announcement,
  HERE,
  known,
  NOBODY,
  REQUEST,
  SOLICITATION,
  solicitation,
  stand,
  THERE,
} from './suppress-rig.ts';
import { TUNNEL } from './tunnel-rig.ts';

describe('what a tunnel’s host tells', () => {
  it('goes up once, and again when it is news', () => {
    const { comes, neighbours } = stand();
    expect([announcement(THERE), announcement(THERE), announcement(THERE)].map(comes)).toEqual([1, 1, 1]);
    expect(comes(announcement({ ...THERE, mac: '02:00:00:00:00:0a' }))).toBe(2);
    expect(neighbours.rows()).toEqual([
      { bridge: 'br0', port: 'pod', vlan: 0, address: THERE.ip4, mac: '02:00:00:00:00:0a' },
    ]);
    expect(comes(advertisement(THERE))).toBe(3);
    expect(comes(advertisement(THERE))).toBe(3);
    expect(comes(advertisement(THERE, { router: true }))).toBe(4);
  });

  it.each([
    [
      'a probe',
      buildArpFrame({
        operation: 1,
        senderMac: THERE.mac,
        senderAddress: '0.0.0.0',
        targetMac: NOBODY,
        targetAddress: THERE.ip4,
      }),
    ],
    [
      'a word for another',
      buildArpFrame({
        operation: 2,
        src: HERE.mac,
        senderMac: THERE.mac,
        senderAddress: THERE.ip4,
        targetMac: HERE.mac,
        targetAddress: HERE.ip4,
      }),
    ],
    ['an anycast address', advertisement(THERE, { override: false })],
    ['an advertisement without a link address', advertisement(THERE, { linkAddress: null })],
    ['a solicitation of whom nothing is known', solicitation(THERE, HERE.ip6)],
    [
      'an address of a group',
      advertisement({ ...THERE, ip6: 'ff02::9' }, { ip6: { source: '2001:db8::9', destination: 'ff02::1' } }),
    ],
    ['a frame with two tags', announcement(THERE, [{ vid: 0 }, { vid: 10 }])],
    ['an advertisement cut off', advertisement(THERE).subarray(0, 80)],
  ])('stays where it is when it is %s', (_, frame) => expect(stand().comes(frame)).toBe(0));

  it('stays where it is in a VLAN that the port has not, or where its tag is a customer’s', () => {
    const vlans: VlanDocument[] = [
      { mode: 'trunk', trunks: [20] },
      { mode: 'access', tag: 10 },
      { mode: 'dot1q-tunnel', tag: 10 },
    ];
    for (const vlan of vlans) {
      const { comes } = stand({ tunnel: { vlan } });
      expect(comes(announcement(THERE, [{ vid: 10 }]))).toBe(0);
    }
    const { comes, neighbours } = stand({ tunnel: { vlan: { mode: 'access', tag: 10 } } });
    for (const tags of [[], [{ vid: 0 }]]) comes(announcement(THERE, tags));
    expect([neighbours.rows(), comes(announcement(THERE))]).toMatchObject([[{ vlan: 10 }], 1]);
  });

  it('is not believed with a wrong checksum', () => {
    const { comes, neighbours } = stand();
    const frame = advertisement(THERE);
    expect(comes(frame.with(56, frame[56]! ^ 1))).toBe(1);
    expect(neighbours.rows()).toEqual([]);
  });

  it('becomes doubtful when a solicitation has it otherwise', () => {
    const { comes, neighbours, asks } = known();
    expect(comes(solicitation(THERE, HERE.ip6))).toBe(2);
    expect(comes(solicitation({ ...THERE, mac: '02:00:00:00:00:0a' }, HERE.ip6))).toBe(3);
    expect(neighbours.rows().map(({ address }) => address)).toEqual([THERE.ip4]);
    expect(asks(SOLICITATION).tunnel).toHaveLength(1);
  });

  it('lasts five minutes from when it was heard last', () => {
    const { rig, comes, clock, neighbours } = known();
    const pass = (s: number) => {
      clock.ms += s * 1000;
      rig.edge.now += s * 1e9;
      rig.run();
      neighbours.sweep();
    };
    pass(200);
    // That goes up no more, but is noted.
    expect(comes(announcement(THERE))).toBe(2);
    pass(99);
    expect(neighbours.rows()).toHaveLength(2);
    pass(2);
    expect(neighbours.rows().map(({ address }) => address)).toEqual([THERE.ip4]);
    pass(300);
    expect(neighbours.rows()).toEqual([]);
    expect(
      rig.view.i32
        .subarray(rig.lane.neighboursAt, rig.lane.neighboursAt + 16_384 * 8)
        .every((word, k) => k % 8 !== 0 || word === 0),
    ).toBe(true);
  });

  it('goes with its tunnel, and when that answers no more', () => {
    const made = known();
    made.state.model.settings.suppress = false;
    made.neighbours.sweep();
    expect(made.neighbours.rows()).toEqual([]);
    const other = known();
    other.ports.set(TUNNEL, { ...other.state });
    other.neighbours.sweep();
    expect(other.neighbours.rows()).toEqual([]);
    const third = known();
    third.neighbours.forget(TUNNEL);
    expect(third.asks(REQUEST).here).toEqual([]);
  });
});

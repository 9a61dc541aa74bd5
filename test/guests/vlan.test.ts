/**
 * VLANs and guests: one that tags its own frames behind a trunk, one that must not behind an access port, and a broadcast that has to reach
 * every kind of port in every mode, with a tag or without as the mode says.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeNeeds, GUESTS, isLong } from '../needs.ts';
import { Host } from '../netns/host.ts';
import { REAL } from '../netns/lab.ts';
import { arp, fetchFile, type Peer, ping, serveFile } from './peer.ts';
import { GUEST_KINDS, isGuest, KINDS, type Kind, type Wish } from './seats.ts';
import { Stand } from './stand.ts';

const FILE_BYTES = 1_000_000;
const NEEDS = { ...REAL, ...GUESTS, tools: [...REAL.tools, ...GUESTS.tools] };
const VLANS = [10, 20, 30];

describeNeeds(NEEDS, 'a guest that tags its own frames', () => {
  let stand: Stand;
  const digests = new Map<number, string>();

  beforeAll(async () => {
    const hosts: Wish[] = VLANS.map((tag) => ({
      name: `host${tag}`,
      kind: 'tap',
      guest: `host${tag}`,
      vlan: { mode: 'access', tag },
    }));
    const guests: Wish[] = GUEST_KINDS.flatMap((kind) => [
      { name: `${kind}-trunk`, kind, guest: 'guest', vlan: { mode: 'trunk', trunks: [10, 20] } },
      { name: `${kind}-access`, kind, guest: 'guest', vlan: { mode: 'access', tag: 10 } },
    ]);
    stand = new Stand([...hosts, ...guests]);
    await stand.open();
    for (const tag of VLANS) {
      const host = stand.seat(`host${tag}`);
      await host.peer.run(`ip addr add ${address(tag, 1)}/24 dev eth0`);
      digests.set(tag, await serveFile(host.peer, stand.folderOf(host), FILE_BYTES));
    }
  }, 180_000);
  afterAll(() => stand.close());

  /** In a subnet of the VLAN. */
  const address = (tag: number, number: number) => `10.${tag}.0.${number}`;

  const tagging = async (peer: Peer, number: number) => {
    for (const tag of VLANS) {
      await peer.run(`
        ip link add link eth0 name eth0.${tag} type vlan id ${tag}
        ip addr add ${address(tag, number)}/24 dev eth0.${tag}
        ip link set eth0.${tag} up`);
    }
  };

  it.each(GUEST_KINDS)('%s: reaches the VLANs of its trunk, and no other', { timeout: 120_000 }, async (kind) => {
    const { peer, number } = stand.seat(`${kind}-trunk`);
    await tagging(peer, number);
    for (const tag of [10, 20]) {
      expect(await ping(peer, address(tag, 1)), `VLAN ${tag}`).toBe(3);
      expect(await ping(peer, address(tag, 1), { size: 1472 }), `VLAN ${tag}, full frames`).toBe(3);
      expect(await fetchFile(peer, address(tag, 1)), `VLAN ${tag}`).toBe(digests.get(tag));
      expect(await ping(stand.seat(`host${tag}`).peer, address(tag, number))).toBe(3);
    }
    expect(await ping(peer, address(30, 1), { count: 1, wait: 1 })).toBe(0);
    expect(await ping(stand.seat('host30').peer, address(30, number), { count: 1, wait: 1 })).toBe(0);
  });

  it.each(GUEST_KINDS)(
    '%s: is in the VLAN of its access port, and can’t leave it',
    { timeout: 120_000 },
    async (kind) => {
      const { name, peer, number } = stand.seat(`${kind}-access`);
      expect(await ping(peer, stand.seat('host10').ipv4)).toBe(3);
      expect(await arp(peer, stand.seat('host20').ipv4, 1)).toBe(false);
      await tagging(peer, number);
      expect(await ping(peer, address(20, 1), { count: 1, wait: 1 })).toBe(0);
      expect((await stand.daemon.port(name)).dropped['tagged-on-access']).toBeGreaterThan(0);
    },
  );
});

/** What each mode makes of a frame of VLAN 10. */
const MODES = {
  access: { vlan: { mode: 'access', tag: 10 }, gets: 'untagged' },
  other: { vlan: { mode: 'access', tag: 20 }, gets: 'nothing' },
  trunk: { vlan: { mode: 'trunk', trunks: [10, 20] }, gets: 'tagged' },
  without: { vlan: { mode: 'trunk', trunks: [20] }, gets: 'nothing' },
  ntagged: { vlan: { mode: 'native-tagged', tag: 10, trunks: [10, 20] }, gets: 'tagged' },
  nuntagged: { vlan: { mode: 'native-untagged', tag: 10, trunks: [10, 20] }, gets: 'untagged' },
  tunnel: { vlan: { mode: 'dot1q-tunnel', tag: 10 }, gets: 'untagged' },
} as const;
type Mode = keyof typeof MODES;
const MODE_NAMES = Object.keys(MODES) as Mode[];
const SENDER = 'sender';
/** In the text of the broadcast: whom it asks for. */
const ASKED = '10.99.98.97';
const ASKED_HEX = '0a636261';

interface Counted {
  readonly all: number;
  readonly tagged: number;
}

describeNeeds(NEEDS, 'one broadcast from a guest', () => {
  let stand: Stand;
  const sniffers = new Map<string, Host>();
  /** Receivers that were looked at. */
  const tried = new Set<string>();
  /** What guests' cards had received when all began anew. */
  const before = new Map<string, Counted>();
  const nameOf = (kind: Kind, mode: Mode) => `${kind}-${mode}`;

  beforeAll(async () => {
    // A guest for each two kinds: PCI has no more room.
    const receivers: Wish[] = KINDS.flatMap((kind, index) =>
      MODE_NAMES.map((mode) => ({
        name: nameOf(kind, mode),
        kind,
        guest: `guest${index % 2}`,
        vlan: MODES[mode].vlan,
      })),
    );
    const sender: Wish = { name: SENDER, kind: 'vhost-user', guest: 'guest0', vlan: MODES.access.vlan };
    stand = new Stand([sender, ...receivers], { ipv6: false });
    await stand.open();
    for (const kind of KINDS) {
      for (const mode of MODE_NAMES) {
        const name = nameOf(kind, mode);
        if (isGuest(kind)) {
          await stand.seat(name).peer.run('ip link add link eth0 name eth0.10 type vlan id 10; ip link set eth0.10 up');
        } else {
          const host = new Host(stand.lab.name(name));
          sniffers.set(name, host);
          await host.sniff('eth0', ASKED_HEX);
        }
      }
    }
    await stand.seat(SENDER).peer.run('ip addr add 10.99.0.1/8 dev eth0');
    await broadcast();
  }, 240_000);
  afterAll(async () => {
    await Promise.all([...sniffers.values()].map((host) => host.close()));
    await stand.close();
  });

  const broadcast = () => stand.seat(SENDER).peer.run(`arping -b -c 1 -w 2 -I eth0 ${ASKED} || true`);

  /** One more for a test that is tried again: of all receivers only what comes from now on counts. */
  async function broadcastAgain(): Promise<void> {
    for (const kind of KINDS.filter(isGuest))
      for (const name of MODE_NAMES.map((mode) => nameOf(kind, mode))) {
        before.set(name, await counted(stand.seat(name).peer));
      }
    for (const host of sniffers.values()) await host.frames('eth0', 0, 0);
    await broadcast();
  }

  /** Frames that a guest's card received, and those of them that had the tag of VLAN 10. */
  async function counted(peer: Peer): Promise<Counted> {
    const text = await peer.run('cat /proc/net/dev');
    const packets = (device: string) =>
      Number(
        text
          .split('\n')
          .find((line) => line.trim().startsWith(`${device}:`))!
          .split(':')[1]!
          .trim()
          .split(/\s+/)[1],
      );
    return { all: packets('eth0'), tagged: packets('eth0.10') };
  }

  describe.each(KINDS)('reaches a %s', (kind) => {
    // Each kind in half of the modes, each mode at half of the kinds; the long run has all.
    const half = (_: unknown, k: number): boolean => isLong() || (k + KINDS.indexOf(kind)) % 2 === 0;
    it.each(MODE_NAMES.filter(half))('in mode %s, as it must', async (mode) => {
      const name = nameOf(kind, mode);
      const { gets } = MODES[mode];
      if (tried.has(name)) await broadcastAgain();
      tried.add(name);
      if (isGuest(kind)) {
        const { all, tagged } = before.get(name) ?? { all: 0, tagged: 0 };
        expect(await counted(stand.seat(name).peer)).toEqual({
          all: all + (gets === 'nothing' ? 0 : 1),
          tagged: tagged + (gets === 'tagged' ? 1 : 0),
        });
      } else {
        const frames = await sniffers.get(name)!.frames('eth0', 1, gets === 'nothing' ? 0.2 : 5);
        expect(frames).toHaveLength(gets === 'nothing' ? 0 : 1);
        if (gets !== 'nothing') expect(frames[0]!.slice(24, 32)).toBe(gets === 'tagged' ? '8100000a' : '08060001');
      }
    });
  });
});

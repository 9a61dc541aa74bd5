/**
 * Whoever goes and comes back, the guest, QEMU or weft: traffic returns by itself, on every way that a guest can be attached. QEMU 7.2's
 * stream client does not reconnect, so where weft ends QEMU is the one that listens.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeNeeds, GUESTS, isLong } from '../needs.ts';
import { REAL, until } from '../netns/lab.ts';
import { fetchFile, ping, serveFile } from './peer.ts';
import type { Kind, Wish } from './seats.ts';
import { Stand } from './stand.ts';

const FILE_BYTES = 1_000_000;
const BACK_MS = 30_000;
const GUEST = 'guest';
const WAYS: readonly Kind[] = ['vhost-user', 'vhost-user-client', 'stream', 'stream-client', 'dgram', 'qemu-tap'];
/** Those whose guest connects anew, or is connected to anew, when weft is another process. */
const LASTING = WAYS.filter((kind) => kind !== 'stream');
const HOST = 'host';

describeNeeds({ ...REAL, ...GUESTS, tools: [...REAL.tools, ...GUESTS.tools] }, 'traffic comes back by itself', () => {
  let stand: Stand;
  let sent: string;

  beforeAll(async () => {
    const guests: Wish[] = WAYS.map((kind) => ({ name: kind, kind, guest: GUEST }));
    stand = new Stand([{ name: HOST, kind: 'tap', guest: HOST }, ...guests]);
    await stand.open();
    const host = stand.seat(HOST);
    sent = await serveFile(host.peer, stand.folderOf(host), FILE_BYTES);
    await allTalk(WAYS);
  }, 180_000);
  afterAll(() => stand.close());

  /** Both directions: the host asks, and the guest fetches. */
  async function allTalk(ways: readonly Kind[]): Promise<void> {
    const host = stand.seat(HOST);
    for (const way of ways) {
      const { peer, ipv4 } = stand.seat(way);
      const answered = await until(
        () => ping(host.peer, ipv4, { count: 1, wait: 1 }),
        (count) => count === 1,
        BACK_MS,
      );
      expect(answered, way).toBe(1);
      expect(await fetchFile(peer, host.ipv4), way).toBe(sent);
    }
  }

  it('after the guest was reset', { timeout: 180_000 }, async () => {
    await stand.vms.get(GUEST)!.reset();
    await stand.furnish(GUEST);
    await allTalk(WAYS);
  });

  const reboot = async () => {
    await stand.vms.get(GUEST)!.reboot();
    await stand.furnish(GUEST);
    await allTalk(WAYS);
  };
  if (isLong()) it('after the guest restarted by its own will', { timeout: 180_000 }, reboot);

  it('after QEMU was killed and started again', { timeout: 180_000 }, async () => {
    await stand.vms.get(GUEST)!.kill();
    const { peer, ipv4 } = stand.seat(HOST);
    expect(await ping(peer, ipv4, { count: 1 })).toBe(1);
    await stand.startGuest(GUEST);
    await stand.allUp();
    await allTalk(WAYS);
  });

  it('after weft was killed and started again', { timeout: 180_000 }, async () => {
    const boots = stand.vms.get(GUEST)!.boots;
    await stand.daemon.kill();
    await stand.startDaemon();
    await stand.addressHosts();
    await allTalk(LASTING);
    expect(stand.vms.get(GUEST)).toMatchObject({ boots, running: true });
  });

  it('after weft ended as it should and was started again', { timeout: 180_000 }, async () => {
    expect(await stand.daemon.stop()).toMatchObject({ code: 0 });
    await stand.startDaemon();
    await stand.addressHosts();
    await allTalk(LASTING);
  });

  it('after weft took the port of a guest away and gave it back', { timeout: 180_000 }, async () => {
    const document = (await stand.daemon.client.get('/v1/config')) as { bridges: { name: string; ports: Wish[] }[] };
    for (const way of LASTING) {
      const port = document.bridges[0]!.ports.find(({ name }) => name === way)!;
      await stand.daemon.deletePort('br0', way);
      await stand.daemon.addPort('br0', port);
    }
    await allTalk(LASTING);
  });
});

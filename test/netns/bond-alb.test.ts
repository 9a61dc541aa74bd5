/**
 * balance-alb and balance-tlb over veths into a Linux bridge that knows nothing of them: the machine's own address is met at several
 * members, guests' addresses stay what they are, and a member lost takes nobody along.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeNeeds } from '../needs.ts';
import { bond, carrying, ip, untilCarrying } from './bond-rig.ts';
import { A, B, NEEDS, OUTAGE_MS_MAX, Stand } from './bond-stand.ts';
import { beforeRetry, bridge, tap } from './lab.ts';

const OWN = '10.41.0.3';
const MEMBERS = ['m0', 'm1', 'm2'];
const PEERS = Array.from({ length: 12 }, (_, k) => `10.41.0.${100 + k}`);

describeNeeds(NEEDS, 'balance-alb and balance-tlb into a Linux bridge', () => {
  const stand = new Stand();
  const documentOf = (mode: string): object => {
    const own = { name: 'own', kind: 'tap', device: 'own0', address: [`${OWN}/24`] };
    const guest = tap(stand.lab, 'a', { address: [`${A}/24`] });
    return bridge([own, guest, bond(MEMBERS, { mode })] as never, {}, {});
  };

  beforeAll(async () => {
    await stand.open(bond(MEMBERS, { mode: 'balance-alb' }));
    await stand.daemon.apply(documentOf('balance-alb'));
    for (const peer of PEERS) await ip(stand.lab, 'b', 'addr', 'add', `${peer}/24`, 'dev', 'eth0');
  });
  afterAll(() => stand.lab.close());
  beforeRetry(() => stand.mend());

  const addressOf = (space: 'hub' | 'a', device: string): Promise<string> =>
    ip(stand.lab, space, '-json', 'link', 'show', 'dev', device).then(
      ({ stdout }) => (JSON.parse(stdout) as { address: string }[])[0]!.address,
    );

  /** What the host behind the bridge takes for the address of `target` when it asks as `peer`. */
  async function askedAs(peer: string, target: string): Promise<string> {
    await ip(stand.lab, 'b', 'neigh', 'flush', 'dev', 'eth0');
    await stand.b.run('ping', '-q', '-c', '2', '-i', '0.02', '-W', '1', '-I', peer, target);
    const { stdout } = await ip(stand.lab, 'b', '-json', 'neigh', 'show', target);
    return (JSON.parse(stdout) as { lladdr?: string }[])[0]?.lladdr ?? '';
  }

  it('balance-alb: peers meet the machine’s own address at different members, and a guest’s at its own', async () => {
    await untilCarrying(stand.daemon, MEMBERS);
    const members = await Promise.all(MEMBERS.map((device) => addressOf('hub', device)));
    const met = new Set<string>();
    for (const peer of PEERS) met.add(await askedAs(peer, OWN));
    for (const address of met) expect(members).toContain(address);
    expect(met.size).toBeGreaterThan(1);
    const guest = await addressOf('a', 'eth0');
    for (const peer of PEERS.slice(0, 3)) expect(await askedAs(peer, A)).toBe(guest);
  });

  it('balance-alb: a member lost takes no peer along', async () => {
    expect(await askedAs(PEERS[0]!, OWN)).not.toBe('');
    await stand.link('sw', 'f1', 'down');
    expect(carrying(await untilCarrying(stand.daemon, ['m0', 'm2']))).toEqual(['m0', 'm2']);
    expect(await stand.b.ping(OWN, { count: 20, interval: 0.01 })).toBeGreaterThanOrEqual(19);
    await stand.link('sw', 'f1', 'up');
    await untilCarrying(stand.daemon, MEMBERS);
    expect(await stand.b.ping(OWN, { count: 20, interval: 0.01 })).toBe(20);
  });

  it('balance-tlb: everybody keeps his address, and a member lost moves only who sent by it', async () => {
    await stand.daemon.apply(documentOf('balance-tlb'));
    await untilCarrying(stand.daemon, MEMBERS);
    expect(await askedAs(B, OWN)).toBe(await addressOf('hub', 'own0'));
    const { outageMs, duplicates } = await stand.flow('a', 1.5, async () => {
      await stand.link('sw', 'f0', 'down');
      await untilCarrying(stand.daemon, ['m1', 'm2']);
      await stand.link('sw', 'f0', 'up');
      await untilCarrying(stand.daemon, MEMBERS);
    });
    expect(outageMs).toBeLessThan(OUTAGE_MS_MAX);
    expect(duplicates).toBe(0);
  });
});

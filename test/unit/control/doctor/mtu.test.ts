/** Verdicts on the ways of tunnels: which pairs there are, what is wrong with them, and what to do. */
import { describe, expect, it } from 'vitest';
import type { OpenEcho } from '../../../../control/doctor/echo.ts';
import { examineMtu, type MtuRow, pairsOf } from '../../../../control/doctor/mtu.ts';
import type { TunnelRow } from '../../../../control/tunnel-rows.ts';
import { MAPPED, PLAIN, POD7, remoteRow } from '../tunnel-rows.ts';
import { type FakeEcho, type FakePath, fakeEcho } from './fake-echo.ts';

function tunnel(change: Partial<TunnelRow>): TunnelRow {
  return { ...POD7, remotes: [remoteRow('r')], ...change };
}

async function rowsOf(tunnels: readonly TunnelRow[], paths: Readonly<Record<string, FakePath>>): Promise<MtuRow[]> {
  const rows: MtuRow[] = [];
  const signal = new AbortController().signal;
  await examineMtu(
    pairsOf(tunnels),
    () => fakeEcho(paths),
    (row) => rows.push(row),
    signal,
  );
  return rows;
}

async function rowOf(change: Partial<TunnelRow>, path: FakePath): Promise<MtuRow> {
  return (await rowsOf([tunnel(change)], { r: path }))[0]!;
}

describe('pairs', () => {
  it('are asked once, however many tunnels use them, and groups are not', () => {
    const more = { ...POD7, name: 'pod8', remotes: [remoteRow('192.0.2.2', { pathMtu: 0 })] };
    const pairs = pairsOf([POD7, more, MAPPED, PLAIN]);
    expect(pairs.map(({ local, remote, tunnels, route }) => [local, remote, tunnels.length, route])).toEqual([
      ['192.0.2.1', '192.0.2.2', 2, 1500],
      ['192.0.2.1', '192.0.2.3', 1, 0],
      ['192.0.2.1', '192.0.2.4', 1, 1500],
      ['2001:db8::1', '2001:db8::2', 1, 1500],
    ]);
  });
});

describe('a way', () => {
  it('is fine when what the tunnel needs passes', async () => {
    expect(await rowOf({}, {})).toEqual({
      ...{ local: '192.0.2.1', remote: 'r', tunnels: ['br0/pod7'], needed: 1500, route: 1500, passed: 1500 },
      ...{ verdict: 'fine', problem: null, remedy: null },
    });
  });

  it('that loses long packets in silence is named, with what to do', async () => {
    expect(await rowOf({}, { takes: 1400 })).toMatchObject({
      ...{ verdict: 'lost', passed: 1400, problem: 'packets of more than 1400 bytes are lost, and nobody says so' },
      remedy: 'set mtu: 1350 on br0/pod7; or raise the underlay’s MTU to 1500',
    });
  });

  it('is lost also where it takes less than a router told', async () => {
    const path = { told: { mtu: 1450, by: '192.0.2.254' }, takes: 1400 };
    expect(await rowOf({}, path)).toMatchObject({ verdict: 'lost', passed: 1400 });
  });

  it('that says what it takes is short', async () => {
    expect(await rowOf({}, { told: { mtu: 1400, by: '192.0.2.254' } })).toMatchObject({
      ...{ verdict: 'short', passed: 1400 },
      problem: '192.0.2.254 on the way takes 1400 bytes, and says so: the tunnel needs 1500 for its MTU',
      remedy: 'it follows by itself; for longer packets raise the underlay’s MTU to 1500',
    });
    expect(await rowOf({ mtuFixed: true }, { told: { mtu: 1400, by: '192.0.2.254' } })).toMatchObject({
      ...{ verdict: 'short', remedy: 'set mtu: 1350 on br0/pod7; or raise the underlay’s MTU to 1500' },
    });
    const known = { remotes: [remoteRow('r', { pathMtu: 1400 })] };
    expect(await rowOf(known, {})).toMatchObject({
      ...{ verdict: 'short', passed: 1400, needed: 1500, route: 1400 },
      problem: 'the route takes 1400 bytes: the tunnel needs 1500 for its MTU',
    });
    expect(await rowOf(known, { takes: 1300 }), 'less than the route says').toMatchObject({ verdict: 'lost' });
  });

  it('is asked for no more than the route takes where the rest goes in fragments', async () => {
    const change = { df: false, mtu: 9000, mtuFixed: true };
    expect(await rowOf(change, {})).toMatchObject({ verdict: 'fine', needed: 1500, passed: 1500 });
    expect(await rowOf(change, { takes: 1400 })).toMatchObject({ verdict: 'lost', passed: 1400 });
  });

  it('can’t be judged where nobody answers', async () => {
    expect(await rowOf({}, { silent: true })).toMatchObject({
      ...{ verdict: 'silent', passed: null, problem: 'it does not answer echo requests: can’t be judged' },
    });
  });

  it('that is none says who says so', async () => {
    const refused = { code: 'EHOSTUNREACH', by: '192.0.2.254' };
    expect(await rowOf({}, { refused })).toMatchObject({
      ...{ verdict: 'unreachable', problem: '192.0.2.254 says that there is no way to it (EHOSTUNREACH)' },
    });
    expect((await rowOf({}, { refused: { code: 'ENETUNREACH', by: null } })).problem).toMatch(/^this machine says/);
  });

  it('is asked for Ethernet’s length where neither tunnel nor route knows', async () => {
    const change = { up: false, mtu: 0, remotes: [remoteRow('r', { pathMtu: 0 })] };
    expect(await rowOf(change, {})).toMatchObject({ needed: 1500, route: 0, verdict: 'fine' });
  });

  it('of several tunnels is asked for the longest, and each gets its MTU', async () => {
    const row = (name: string, mtu: number, overhead: number) => tunnel({ name, mtu, overhead });
    const tunnels = [row('a', 1450, 50), row('b', 1462, 38), row('c', 1300, 50), row('d', 1450, 50)];
    expect(await rowsOf(tunnels, { r: { takes: 1400 } })).toMatchObject([
      {
        needed: 1500,
        remedy: 'set mtu: 1350 on br0/a, br0/d, set mtu: 1362 on br0/b; or raise the underlay’s MTU to 1500',
      },
    ]);
    const many = Array.from({ length: 5 }, (_, k) => row(`t${k}`, 1450, 50));
    expect((await rowsOf(many, { r: { takes: 1400 } }))[0]!.remedy).toContain('br0/t0, br0/t1, br0/t2 and 2 more;');
  });
});

describe('asking', () => {
  const refuse =
    (code: string): OpenEcho =>
    () => {
      throw Object.assign(new Error(`${code}: no`), { code });
    };
  it.each([
    ['EADDRNOTAVAIL', 'unreachable', /192\.0\.2\.1 is not an address of this machine/],
    ['EPERM', 'silent', /can’t be asked: EPERM: no/],
  ])('without a socket (%s) is told of each pair', async (code, verdict, problem) => {
    const rows: MtuRow[] = [];
    await examineMtu(pairsOf([POD7]), refuse(code), (row) => rows.push(row), new AbortController().signal);
    expect(rows.map((row) => row.verdict)).toEqual([verdict, verdict, verdict]);
    expect(rows[0]!.problem).toMatch(problem);
  });

  it('takes one socket for each local address, and closes it', async () => {
    const made: FakeEcho[] = [];
    const open = () => {
      made.push(fakeEcho({}));
      return made.at(-1)!;
    };
    await examineMtu(pairsOf([POD7, MAPPED]), open, () => undefined, new AbortController().signal);
    expect(made.map(({ closed }) => closed)).toEqual([true, true]);
  });

  it('ends when nobody wants to know, with its sockets closed', async () => {
    const stopped = new AbortController();
    const echo = fakeEcho({});
    const remotes = Array.from({ length: 1000 }, (_, k) => remoteRow(`r${k}`));
    const rows: MtuRow[] = [];
    const onRow = (row: MtuRow) => {
      rows.push(row);
      stopped.abort();
    };
    await examineMtu(pairsOf([tunnel({ remotes })]), () => echo, onRow, stopped.signal);
    expect([rows.length, echo.closed, echo.asked.length < 200]).toEqual([1, true, true]);
  });
});

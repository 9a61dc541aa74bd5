import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { PcapngReader } from '../../../control/capture/reader.ts';
import { itNeeds } from '../../needs.ts';
import { apiRig } from './api-rig.ts';
import { startWeft, weft } from './cli-rig.ts';

const WEFT = fileURLToPath(new URL('../../../dist/control/cli/main.js', import.meta.url));
const built = existsSync(WEFT) ? null : 'needs dist/: npm run build';
const rig = apiRig();
const environment = () => ({ WEFT_SOCKET: rig.path });
const FRAME = Uint8Array.from(Buffer.from(`020000000002020000000001${'88b5'}${'00'.repeat(46)}`, 'hex'));
const frame = (direction: 'in' | 'out') => ({
  direction,
  time: 1_700_000_000_000_001_000n,
  originalBytes: 60,
  bytes: FRAME,
});

async function captureOf(args: readonly string[]) {
  const run = startWeft(environment(), ['capture', ...args]);
  await expect.poll(() => rig.sw.captures.length).toBe(1);
  return { ...run, ...rig.sw.captures[0]! };
}

describe('weft capture', () => {
  it('prints a line a frame, and how many were lost', async () => {
    const { done, capture } = await captureOf(['web', '--count', '2']);
    capture.lost = 3;
    capture.give(frame('in'));
    capture.give(frame('out'));
    const { code, out, err } = await done;
    expect(code).toBe(0);
    expect(out.split('\n')).toEqual([
      '22:13:20.000001 in  02:00:00:00:00:01 > 02:00:00:00:00:02 type 0x88b5, 60 bytes',
      '22:13:20.000001 out 02:00:00:00:00:01 > 02:00:00:00:00:02 type 0x88b5, 60 bytes',
      '',
    ]);
    expect(err).toBe('2 frames captured, 3 lost because this reader was too slow\n');
  });

  it('writes pcapng to a file, with the filters passed on', async () => {
    const file = join(rig.folder, 'a.pcapng');
    const filters = [
      '--direction',
      'out',
      '--vlan',
      '10',
      '--mac',
      '02:00:00:00:00:01',
      '--ethertype',
      '0x88b5',
      '--snap-length',
      '64',
    ];
    const { done, capture, options } = await captureOf(['br0/web', '-w', file, '--count', '1', ...filters]);
    expect(options).toEqual({
      bridge: 'br0',
      port: 'web',
      direction: 'out',
      vlan: 10,
      mac: '02:00:00:00:00:01',
      etherType: 0x88b5,
      snapLength: 64,
    });
    capture.give(frame('out'));
    expect((await done).code).toBe(0);
    const frames: unknown[] = [];
    new PcapngReader((f) => frames.push(f)).push(readFileSync(file));
    expect(frames).toEqual([frame('out')]);
  });

  it('--json is an object a frame', async () => {
    const { done, capture } = await captureOf(['web', '--json', '--count', '1']);
    capture.give(frame('in'));
    const bytes = Buffer.from(FRAME).toString('hex');
    expect(JSON.parse((await done).out)).toEqual({
      time: '1700000000000001000',
      direction: 'in',
      originalBytes: 60,
      bytes,
    });
  });

  it('does not write pcapng to a terminal, nor where it may not', async () => {
    expect(await weft(rig, 'capture web -w -', { width: 80 })).toMatchObject({
      code: 2,
      err: expect.stringContaining('pipe it'),
    });
    const { done, capture } = await captureOf(['web', '-w', join(rig.folder, 'no/such/folder')]);
    capture.give(frame('in'));
    expect(await done).toMatchObject({ code: 1, err: expect.stringContaining('ENOENT') });
  });

  it('says so when the disk is full, and ends', async () => {
    const { done, capture } = await captureOf(['web', '-w', '/dev/full']);
    for (let k = 0; k < 200; k++) capture.give({ ...frame('in'), originalBytes: 9000, bytes: new Uint8Array(9000) });
    const { code, err } = await done;
    expect(code).toBe(1);
    expect(err).toMatch(/ENOSPC: no space left on device, write\n.*--snap-length/);
  });

  it('of an unknown port is refused', async () => {
    expect(await weft(rig, 'capture nope')).toMatchObject({
      code: 2,
      err: expect.stringContaining('there is no port "nope"'),
    });
  });
});

describe('weft events', () => {
  const time = '2026-01-02T12:34:56.789Z';

  it('prints a line each until the daemon ends', async () => {
    const run = startWeft(environment(), ['events']);
    await expect.poll(() => rig.sw.events.listenerCount('event')).toBe(1);
    rig.sw.emit({ type: 'port-down', time, bridge: 'br0', port: 'web', reason: 'the namespace is gone' });
    rig.sw.emit({
      type: 'address-moved',
      time,
      bridge: 'br0',
      vlan: 10,
      mac: '02:00:00:00:00:01',
      from: 'web',
      to: 'overlay',
      fromRemote: null,
      toRemote: '192.0.2.7',
    });
    rig.sw.emit({ type: 'config-applied', time, steps: 1 });
    await expect.poll(() => run.out().split('\n').length).toBe(4);
    await rig.api.close();
    expect(await run.done).toEqual({
      code: 1,
      out: [
        '12:34:56  port-down  br0/web  the namespace is gone',
        '12:34:56  address-moved  br0  02:00:00:00:00:01 in VLAN 10: web → overlay (192.0.2.7)',
        '12:34:56  config-applied  1 step',
        '',
      ].join('\n'),
      err: 'weft: the daemon ended\n',
    });
  });

  it('--json is the API’s line', async () => {
    const run = startWeft(environment(), ['events', '--json']);
    await expect.poll(() => rig.sw.events.listenerCount('event')).toBe(1);
    rig.sw.emit({ type: 'port-up', time, bridge: 'br0', port: 'web' });
    await expect
      .poll(() => run.out())
      .toBe(`${JSON.stringify({ type: 'port-up', time, bridge: 'br0', port: 'web' })}\n`);
    await rig.api.close();
    await run.done;
  });
});

describe('weft top on a terminal', () => {
  itNeeds(
    { tools: ['script'], because: built },
    'takes the alternate screen, shows rates, and gives it back at q',
    async () => {
      const command = `stty cols 60 rows 10; ${process.execPath} ${WEFT} top`;
      const child = spawn('script', ['-qec', command, '/dev/null'], { env: { ...process.env, WEFT_SOCKET: rig.path } });
      let out = '';
      child.stdout.setEncoding('utf8').on('data', (piece: string) => (out += piece));
      const closed = once(child, 'close');
      await expect.poll(() => out, { timeout: 30_000 }).toContain('br0/web');
      child.stdin.write('q');
      expect((await closed)[0]).toBe(0);
      expect(out.startsWith('\u001b[?1049h')).toBe(true);
      expect(out.endsWith('\u001b[?25h\u001b[?1049l')).toBe(true);
    },
  );
});

describe('weft top without a terminal', () => {
  it('prints one measurement, or gives it as JSON', async () => {
    const [text, json] = await Promise.all([weft(rig, 'top'), weft(rig, 'top --json')]);
    expect(text.out).toMatch(/^worker 0 0 % busy, 0 \/s\n\nPORT +STATE +RX/);
    expect(JSON.parse(json.out)).toMatchObject({ ports: expect.any(Array), workers: [{ worker: 0, busy: 0 }] });
  });
});

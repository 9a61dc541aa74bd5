import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { makeClient } from '../../../control/cli/client.ts';
import { type Daemon, type OpenSwitch, startDaemon } from '../../../control/daemon.ts';
import { WeftError } from '../../../control/errors.ts';
import { type Log, prettyLine, RateLimit } from '../../../control/log.ts';
import { FakeSwitch, fakeSource } from './fake-switch.ts';

const GOOD = 'metrics: { listen: "127.0.0.1:0" }\nbridges: [{ name: br0, ports: [{ name: a, kind: "null" }] }]\n';

let folder: string;
let file: string;
let socket: string;
let sw: FakeSwitch;
let opened: string[];
let logged: string[];
let details: object[];
let daemon: Daemon | null;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'weft-daemon-'));
  file = join(folder, 'weft.yaml');
  socket = join(folder, 'weft.sock');
  [opened, logged, details, daemon] = [[], [], [], null];
  writeFileSync(file, GOOD);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await daemon?.close();
  rmSync(folder, { recursive: true });
});

const note = (fields: object, message: string): void => {
  logged.push(message);
  details.push(fields);
};
const log: Log = { debug: note, info: note, warn: note, error: note };
const openFake: OpenSwitch = async (document, options) => {
  opened.push(options.file);
  sw = new FakeSwitch(document);
  return { switch: sw, metrics: fakeSource() };
};

async function start(openSwitch: OpenSwitch = openFake): Promise<Daemon> {
  daemon = await startDaemon({ file, socket, keepDevices: false, version: '0.1.0', log, openSwitch });
  return daemon;
}

describe('a daemon', () => {
  it('answers at its socket and at its metrics, and closes everything once', async () => {
    const { metricsUrl, close } = await start();
    expect(opened).toEqual([file]);
    expect(await makeClient(socket).get('/v1/bridges')).toHaveLength(1);
    expect(await (await fetch(metricsUrl!)).text()).toContain('weft_port_up{');
    await Promise.all([close(), close()]);
    expect([sw.closed, existsSync(socket)]).toEqual([true, false]);
    await expect(fetch(metricsUrl!)).rejects.toThrow();
  });

  it('without metrics listens nowhere', async () => {
    writeFileSync(file, `${GOOD.replace('{ listen: "127.0.0.1:0" }', 'false')}`);
    expect((await start()).metricsUrl).toBe(null);
  });

  it('takes the document’s socket where nothing else names one', async () => {
    const other = join(folder, 'other.sock');
    writeFileSync(file, `${GOOD}api: { socket: ${other} }\n`);
    vi.stubEnv('WEFT_SOCKET', undefined);
    daemon = await startDaemon({ file, keepDevices: false, version: '0.1.0', log, openSwitch: openFake });
    expect([daemon.socket, existsSync(other)]).toEqual([other, true]);
  });

  it('reload applies the file again; a bad file changes nothing and is logged', async () => {
    const { reload } = await start();
    writeFileSync(file, GOOD.replace('name: a', 'name: b'));
    await reload();
    expect(sw.ports().map((port) => port.name)).toEqual(['b']);
    writeFileSync(file, 'bridges: 7\n');
    await reload();
    expect(sw.ports().map((port) => port.name)).toEqual(['b']);
    expect(logged.at(-1)).toMatch(/not applied; the running configuration stays/);
    expect(details.at(-1)).toEqual({ file: `${file}:1`, reason: 'bridges: found 7, expected a list' });
    rmSync(file);
    await reload();
    expect(details.at(-1)).toEqual({ file, reason: `${file}: there is no such file` });
    writeFileSync(file, GOOD.replace('127.0.0.1:0', '127.0.0.1:1'));
    await reload();
    expect(logged).toContain('a change here needs a restart');
  });

  it.each([
    ['a file that is not there', () => rmSync(file), 'unreadable-file', 0],
    ['a bad document', () => writeFileSync(file, 'bridges: [{ name: "" }]\n'), 'bad-document', 0],
  ])('%s: nothing is opened, nothing left', async (_, spoil, code, opens) => {
    spoil();
    await expect(start()).rejects.toMatchObject({ code, exitCode: 2 });
    expect([opened.length, existsSync(socket)]).toEqual([opens, false]);
  });

  it('a metrics address in use: no switch is opened, no socket left', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void other.close());
    await new Promise((resolve) => other.once('listening', resolve));
    writeFileSync(file, GOOD.replace('127.0.0.1:0', `127.0.0.1:${(other.address() as { port: number }).port}`));
    await expect(start()).rejects.toMatchObject({ code: 'metrics-listen' });
    expect([opened.length, existsSync(socket)]).toEqual([0, false]);
  });

  it('a second one at the same socket: no switch is opened, the first goes on', async () => {
    const first = await start();
    await expect(start()).rejects.toMatchObject({ code: 'socket-in-use', message: expect.stringContaining(socket) });
    daemon = first;
    expect(opened).toHaveLength(1);
    expect(await makeClient(socket).get('/v1/bridges')).toHaveLength(1);
  });

  it('a switch that can’t be opened: socket and metrics are given back, waiting requests end', async () => {
    let asked: Promise<unknown> = Promise.resolve();
    const fail: OpenSwitch = async () => {
      asked = makeClient(socket)
        .get('/v1/bridges')
        .catch((error: WeftError) => error.code);
      await new Promise((resolve) => setTimeout(resolve, 50));
      throw new WeftError('no-tun', 'there is no /dev/net/tun');
    };
    await expect(start(fail)).rejects.toMatchObject({ code: 'no-tun' });
    expect([existsSync(socket), await asked]).toEqual([false, 'connection']);
  });
});

describe('the log', () => {
  it('a line for people has time, level, message, fields and the error', () => {
    const line = JSON.stringify({
      level: 'warn',
      time: '2026-01-02T12:34:56.789Z',
      msg: 'port is down',
      port: 'br0/web',
      err: { message: 'EIO' },
    });
    expect(prettyLine(line, false)).toBe('12:34:56 warn  port is down  port=br0/web error=EIO\n');
    expect(prettyLine(line, true)).toContain('\u001b[33mwarn ');
  });

  it('a message that repeats too often is held back and its number told', () => {
    let now = 0;
    const told: [string, number][] = [];
    const limit = new RateLimit(
      () => now,
      (message, suppressed) => told.push([message, suppressed]),
    );
    const passed = Array.from({ length: 100 }, () => limit.passes('flap')).filter(Boolean);
    expect([passed.length, limit.passes('other')]).toEqual([20, true]);
    now = 10_000;
    expect([limit.passes('flap'), told]).toEqual([true, [['flap', 80]]]);
  });
});

import { once } from 'node:events';
import { existsSync, linkSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startApi } from '../../../control/api/server.ts';
import { claimSocket, isAlive, socketPath } from '../../../control/api/socket.ts';
import { makeClient } from '../../../control/cli/client.ts';
import { apiRig } from './api-rig.ts';

const rig = apiRig();

describe('the socket', () => {
  it('has a place for root and for others, and names win in order', () => {
    const choose = (uid: number, environment: NodeJS.ProcessEnv, option?: string, document?: string) =>
      socketPath({ uid, environment, option, document });
    expect(choose(0, {})).toBe('/run/weft/weft.sock');
    expect(choose(1000, { XDG_RUNTIME_DIR: '/run/user/1000' })).toBe('/run/user/1000/weft/weft.sock');
    expect(choose(0, {}, undefined, '/d')).toBe('/d');
    expect(choose(0, { WEFT_SOCKET: '/e' }, undefined, '/d')).toBe('/e');
    expect(choose(0, { WEFT_SOCKET: '/e' }, '/o', '/d')).toBe('/o');
    expect(() => choose(1000, {})).toThrow(/XDG_RUNTIME_DIR is not set/);
    expect(() => choose(0, {}, `/${'x'.repeat(107)}`)).toThrow(/108 bytes/);
  });

  it('is its owner’s alone, or the group weft’s', () => {
    expect([0o600, 0o660]).toContain(statSync(rig.path).mode & 0o777);
  });

  it('of a live daemon is refused and stays', async () => {
    await expect(startApi(rig.path, { version: '0.1.0', log: rig.log })).rejects.toMatchObject({
      code: 'socket-in-use',
      message: expect.stringContaining(rig.path),
    });
    expect(await rig.client.get('/v1/bridges')).toHaveLength(2);
  });

  it('of a dead daemon is taken over, and only one of two takes it', async () => {
    const dead = join(rig.folder, 'dead.sock');
    const child = createServer().listen(dead);
    await once(child, 'listening');
    // A socket file whose listener is gone, as kill -9 leaves it: closing would remove it, so it is moved away before.
    const kept = join(rig.folder, 'kept.sock');
    linkSync(dead, kept);
    child.close();
    expect([existsSync(kept), await isAlive(kept)]).toEqual([true, false]);
    const results = await Promise.allSettled([
      startApi(kept, { version: '1', log: rig.log }),
      startApi(kept, { version: '2', log: rig.log }),
    ]);
    const taken = results.filter((result) => result.status === 'fulfilled');
    expect(taken).toHaveLength(1);
    expect(await isAlive(kept)).toBe(true);
    await taken[0]!.value.close();
    expect(existsSync(kept)).toBe(false);
  });

  it('is not made over a file, nor where there is no permission', async () => {
    const file = join(rig.folder, 'file');
    writeFileSync(file, 'precious');
    await expect(claimSocket(createServer(), file)).rejects.toMatchObject({
      code: 'socket-in-use',
      message: `${file} is there and is not a socket`,
    });
    await expect(claimSocket(createServer(), join(file, 'weft.sock'))).rejects.toMatchObject({ code: 'socket' });
  });

  it('answers early requests once the switch is there, and closing ends streams', async () => {
    const early = join(rig.folder, 'early.sock');
    const server = await startApi(early, { version: '0.1.0', log: rig.log });
    const answer = makeClient(early).get('/v1/bridges');
    await new Promise((resolve) => setTimeout(resolve, 20));
    server.attach(rig.sw);
    expect(await answer).toHaveLength(2);
    const events = await makeClient(early).stream('/v1/events');
    const idle = createConnection(early);
    await once(idle, 'connect');
    events.resume();
    const ended = once(events, 'end');
    await server.close();
    await ended;
    idle.destroy();
    await expect(makeClient(early).get('/v1/bridges')).rejects.toMatchObject({ code: 'not-running', exitCode: 1 });
  });
});

/** What each story of lifecycle/tunnels.mjs has to answer: told by tunnel-sender.test.ts, and with a watched memory by sanitized.test.ts. */
import { constants } from 'node:os';
import { expect } from 'vitest';
import { tell } from './stories.ts';

const { EADDRNOTAVAIL, ENETUNREACH } = constants.errno;
const NO_REMOTE = 34;

export const TUNNELS: Readonly<Record<string, (answer: Record<string, unknown>) => void>> = {
  frames: (answer) =>
    expect(answer).toEqual({
      got: [60, 60, 60, 300],
      sent: [4, 0],
      refused: [[8, NO_REMOTE, 1]],
      counts: { datagrams: 4, messages: 2, errors: 0 },
      troubles: [],
      descriptors: 0,
    }),
  ways: (answer) =>
    expect(answer).toEqual({
      near: { error: 0, mtu: 65535, device: 1 },
      v6: { error: 0, mtu: 65536, device: 1 },
      far: { error: ENETUNREACH, mtu: 0, device: 0 },
      foreign: { error: EADDRNOTAVAIL, mtu: 0, device: 0 },
      mixed: 'EINVAL',
      wrong: 'EINVAL',
    }),
  oddities: (answer) =>
    expect(answer).toEqual({
      foreign: ['EADDRNOTAVAIL', 'bind'],
      wrong: ['EINVAL', 'bind'],
      none: ['EINVAL', 'socket'],
      many: ['EINVAL', 'socket'],
      scope: ['EADDRNOTAVAIL', 'IP_MULTICAST_IF'],
      nothing: ['EINVAL', 'bind'],
      closed: ['EBADF', 'EBADF'],
      queue: -22,
      devices: 0,
    }),
};

/** Tells a story of tunnels.mjs and checks its answer. */
export function checkTunnels(story: string, env: Readonly<Record<string, string>>): void {
  const { end, stdout, stderr } = tell('tunnels', [story], env);
  expect(stderr).toBe('');
  expect(end).toBe(0);
  TUNNELS[story]!(JSON.parse(stdout));
}

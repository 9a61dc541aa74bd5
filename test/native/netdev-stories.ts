/** What each story of lifecycle/netdev.mjs has to answer: told by netdev.test.ts, and with a watched memory by sanitized.test.ts. */
import { expect } from 'vitest';
import { tell } from './stories.ts';

const [EGRESS_DOWN, EGRESS_REFUSED] = [13, 18];
const EBADF = 'EBADF';
const RING_SLOTS = 1024;
/** A TCP super-frame's vnet header: unfinished, TCP over IPv4, 1,448 bytes a segment. */
const unfinished = (start: number) => [[1, 1, 1448, start, 16, 0], true];

export const NETDEV: Readonly<Record<string, (answer: Record<string, unknown>) => void>> = {
  frames: (answer) => expect(answer).toEqual({ wrong: [], foreign: { none: 7, vlan: 9, service: 9, both: 9 } }),
  supers: (answer) =>
    expect(answer).toEqual({
      none: unfinished(34),
      vlan: unfinished(38),
      service: unfinished(38),
      both: unfinished(42),
    }),
  many: (answer) => expect(answer).toEqual({ got: 5000, inOrder: true, missed: [0, 0] }),
  missed: (answer) => expect(answer).toEqual({ sum: 3000, got: RING_SLOTS, again: true }),
  truncated: (answer) => expect(answer).toEqual({ sum: 400, lost: 0, some: [true, true], wrong: 0 }),
  refused: (answer) =>
    expect(answer).toEqual({
      got: 3,
      long: [[1, EGRESS_REFUSED, 1]],
      down: [[1, EGRESS_DOWN, 100]],
      again: 2,
      up: [],
      gone: [[1, EGRESS_DOWN, 100]],
      reason: EGRESS_DOWN,
    }),
  oddities: ({ shield, ...answer }) => {
    expect(answer).toEqual({
      absent: ['ENODEV', 'SIOCGIFINDEX'],
      long: ['EINVAL', 'SIOCGIFINDEX'],
      empty: ['EINVAL', 'SIOCGIFINDEX'],
      none: ['EINVAL', 'PACKET_FANOUT'],
      loopback: ['EINVAL', 'SIOCGIFHWADDR'],
      slots: ['EINVAL', 'PACKET_RX_RING'],
      netns: ['ENOENT', 'open'],
      statistics: [EBADF, 'PACKET_STATISTICS'],
      queue: [-22, -22],
      left: 0,
      rings: 0,
      takes: 7,
    });
    // Both are hidden from the host's stack, or neither is: a kernel before 6.6.
    expect(new Set(shield as number[]).size).toBe(1);
  },
};

/** Tells a story of netdev.mjs and checks its answer. */
export function checkNetdev(story: string, io: string, env: Readonly<Record<string, string>>): void {
  const { end, stdout, stderr } = tell('netdev', [story, io], env);
  expect(stderr).toBe('');
  expect(end).toBe(0);
  NETDEV[story]!(JSON.parse(stdout));
}

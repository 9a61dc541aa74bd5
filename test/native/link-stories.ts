/** What each story of lifecycle/links.mjs has to answer: told by links.test.ts, and with a watched memory by sanitized.test.ts. */
import { expect } from 'vitest';
import { tell } from './stories.ts';

const EXIT_CODE = 7;

/** null: the process ends where it is. */
export const LINKS: Readonly<Record<string, unknown>> = {
  changes: {
    // gone, up, carrier, name, MTU.
    states: [
      'false false false weft-a 1500',
      'false true false weft-a 1500',
      'false true true weft-a 1500',
      'false true false weft-a 1500',
      'false true false weft-a 1400',
      'false true false weft-c 1400',
      'false false false weft-c 1400',
      'true false false weft-c 1400',
    ],
    foreign: 0,
    flags: [true, true],
    empty: [],
  },
  numbered: { nsid: 0, spaces: [0], heard: true, mistaken: 0, ended: true },
  itself: { own: [null], others: true },
  overrun: {
    refused: ['EPERM', 'NETLINK_LISTEN_ALL_NSID'],
    first: ['ENOBUFS', 'recvmsg'],
    more: true,
    events: ['recvmsg NETLINK_ROUTE: No buffer space available (more happened at once than it has room for)'],
    left: 0,
  },
  descriptors: { during: 100, left: 0, closed: ['EBADF', 'recvmsg'] },
  ends: null,
};

/** Tells a story of links.mjs and checks its answer. */
export function checkLinks(story: string, env: Readonly<Record<string, string>>): void {
  const { end, stdout, stderr } = tell('links', [story], env);
  expect(stderr).toBe('');
  expect(end).toBe(LINKS[story] === null ? EXIT_CODE : 0);
  expect(stdout === '' ? null : JSON.parse(stdout)).toEqual(LINKS[story]);
}

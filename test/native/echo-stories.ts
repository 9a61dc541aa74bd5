/** What each story of lifecycle/echoes.mjs has to answer: told by echoes.test.ts, and with a watched memory by sanitized.test.ts. */
import { constants } from 'node:os';
import { expect } from 'vitest';
import { tell } from './stories.ts';

const EXIT_CODE = 7;
const { EINVAL, EMSGSIZE, ENETUNREACH } = constants.errno;

function own(address: string) {
  return {
    sent: [0, 0, 0, -EINVAL, -EINVAL, -EINVAL],
    told: [0, 1, 2].map((sequence) => `${sequence} 0 0 ${address}`),
    strange: [],
    flags: [true, true],
    nonsense: -EINVAL,
    family: true,
  };
}

/** Of both families: who answers, who routes. */
function paths(): Record<string, unknown> {
  const sides = [
    { family: 4, far: '198.51.100.1', router: '192.0.2.254' },
    { family: 6, far: '2001:db8:2::1', router: '2001:db8:1::fe' },
  ];
  return Object.fromEntries(
    sides.flatMap(({ family, far, router }) => [
      [`whole ${family}`, { sent: [0, 0, -EMSGSIZE], told: [`1400 0 0 ${far}`, `1500 0 0 ${far}`] }],
      [`told ${family}`, { sent: [0, 0], told: [`1400 0 0 ${far}`, `1401 ${EMSGSIZE} 1400 ${router}`] }],
      [`lost ${family}`, { sent: [0, 0], told: [`1300 0 0 ${far}`] }],
      [`gone ${family}`, { sent: [0], told: [`100 ${ENETUNREACH} 0 ${router}`] }],
    ]),
  );
}

/** By story and kind of socket. null: the process ends where it is. */
export const ECHOES: Readonly<Record<string, unknown>> = {
  answers: {
    both: { '127.0.0.1': own('127.0.0.1'), '::1': own('::1') },
    refused: [
      ['EADDRNOTAVAIL', 'bind'],
      ['EINVAL', 'socket'],
    ],
    closed: [],
  },
  'paths raw': paths(),
  'paths ping': paths(),
  search: { found: { passed: 1400, told: { mtu: 1400, by: '192.0.2.254' }, refused: null }, again: 1400 },
  descriptors: { during: 100, left: 0 },
  ends: null,
};

/** Tells a story of echoes.mjs and checks its answer. */
export function checkEchoes(story: string, env: Readonly<Record<string, string>>): void {
  const { end, stdout, stderr } = tell('echoes', story.split(' '), env);
  expect(stderr).toBe('');
  expect(end).toBe(ECHOES[story] === null ? EXIT_CODE : 0);
  expect(stdout === '' ? null : JSON.parse(stdout)).toEqual(ECHOES[story]);
}

/** Orders between turns: when a sync is answered, and what an order that fails leaves. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Orderly } from '../../../dataplane/orderly.ts';
import type { Answer } from '../../../dataplane/orders.ts';
import type { Addon } from '../../../native/binding.ts';
import { Rig } from '../../rig.ts';

function begin() {
  const rig = new Rig();
  const answers: Answer[] = [];
  const orderly = new Orderly({} as Addon, rig.view, rig.turns, (answer) => answers.push(answer));
  /** Ids of what was answered since the last look. */
  const answered = (): number[] => answers.splice(0).flatMap((answer) => (answer.type === 'done' ? [answer.id] : []));
  return { rig, orderly, answers, answered };
}

describe('a sync', () => {
  it('is answered after two further turns', () => {
    const { orderly, answered } = begin();
    orderly.carryOut({ type: 'sync', id: 1 });
    const turns = [1, 2, 3, 4].map(() => {
      orderly.afterTurn();
      return answered();
    });
    expect(turns).toEqual([[], [], [1], []]);
    expect(orderly.isRestless()).toBe(false);
  });

  it('waits as long behind others: their answers do not shorten its grace', () => {
    const { orderly, answered } = begin();
    const turns = [1, 2, 3, 4, 5].map((id) => {
      if (id <= 3) orderly.carryOut({ type: 'sync', id });
      orderly.afterTurn();
      return answered();
    });
    expect(turns).toEqual([[], [], [1], [2], [3]]);
  });
});

describe('an attachment that fails', () => {
  it('is an answer with −errno; the worker goes on', () => {
    const folder = mkdtempSync(join(tmpdir(), 'weft-orderly-'));
    try {
      const none = join(folder, 'none.pcap');
      const text = join(folder, 'text.pcap');
      writeFileSync(text, 'this is no capture, but it is long enough');
      const { rig, orderly, answers } = begin();
      orderly.carryOut({ type: 'attach', id: 1, attachment: { kind: 'pcap', port: 1, read: none, write: null } });
      orderly.carryOut({ type: 'attach', id: 2, attachment: { kind: 'pcap', port: 1, read: text, write: null } });
      expect(answers).toEqual([
        { type: 'done', id: 1, result: -2 },
        { type: 'done', id: 2, result: -22 },
      ]);
      expect(rig.turns.script(1)).toBeUndefined();
      const assignment = { index: 0, cpu: null, io: 'auto', idle: 0, captures: [] } as const;
      const lost = { kind: 'pcap', port: 7, read: none, write: null } as const;
      expect(orderly.begin({ ...assignment, attachments: [lost, { kind: 'null', port: 8 }] })).toEqual([
        { port: 7, error: 2 },
      ]);
      expect(rig.turns.script(8)).toBeDefined();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/** Who is active: the table of primary and primary-reselect as Linux documents them, and choices by command. */
import { describe, expect, it } from 'vitest';
import { Election, type ElectionRules, elect } from '../../../../control/bonding/election.ts';

/** `a b! c10`: a up, b down, c up with a speed of 10. */
function candidates(text: string) {
  return text.split(' ').map((word) => {
    const [, name, speed, lost] = /^(\w)(\d*)(!?)$/.exec(word)!;
    return { name: name!, usable: lost === '', speed: speed === '' ? null : Number(speed) };
  });
}

describe('the active member', () => {
  it.each<[string, ElectionRules['primaryReselect'], string | null, string, string | null, string | null]>([
    ['none when none is up', 'always', null, 'a! b!', null, null],
    ['none when none is up, though one was', 'always', 'a', 'a! b!', 'a', null],
    ['the first up at first', 'always', null, 'a! b c', null, 'b'],
    ['the current one while it is up', 'always', null, 'a b c', 'c', 'c'],
    ['the first up when the current one is lost', 'always', null, 'a b c!', 'c', 'a'],
    ['the first up when the current one is no member any more', 'always', null, 'a b', 'c', 'a'],
    ['the primary at first', 'failure', 'b', 'a b', null, 'b'],
    ['the first up while the primary is down', 'always', 'b', 'a b!', null, 'a'],
    ['always: the primary as soon as it is up', 'always', 'b', 'a b', 'a', 'b'],
    ['better: not when as fast', 'better', 'b', 'a10 b10', 'a', 'a'],
    ['better: not when slower', 'better', 'b', 'a10 b1', 'a', 'a'],
    ['better: when faster', 'better', 'b', 'a1 b10', 'a', 'b'],
    ['better: not when its speed is unknown', 'better', 'b', 'a1 b', 'a', 'a'],
    ['better: not when the speed to beat is unknown', 'better', 'b', 'a b10', 'a', 'a'],
    ['better: when the current one is lost', 'better', 'b', 'a10! b1 c10', 'a', 'b'],
    ['failure: not while the current one is up', 'failure', 'b', 'a b10', 'a', 'a'],
    ['failure: when the current one is lost', 'failure', 'b', 'c a! b', 'a', 'b'],
    ['the current one when the primary is unknown', 'always', 'x', 'a b', 'b', 'b'],
  ])('%s', (_name, primaryReselect, primary, members, current, expected) => {
    expect(elect(candidates(members), { primary, primaryReselect }, current)).toBe(expected);
  });
});

describe('a primary that was not up before', () => {
  const rules: ElectionRules = { primary: 'b', primaryReselect: 'failure' };

  it.each(['failure', 'better'] as const)(
    'is active as soon as it is, by %s too; after a loss the rule holds',
    (rule) => {
      const election = new Election();
      const by = { ...rules, primaryReselect: rule };
      expect(election.run(candidates('a b!'), by)).toBe('a');
      expect(election.run(candidates('a b'), by)).toBe('b');
      expect(election.run(candidates('a b!'), by)).toBe('a');
      expect(election.run(candidates('a b'), by)).toBe('a');
    },
  );

  it('is one that the rules name anew, or that is a member again', () => {
    const election = new Election();
    election.run(candidates('a b c'), rules);
    expect(election.run(candidates('a b c'), { ...rules, primary: 'c' })).toBe('c');
    expect(election.run(candidates('a b'), { ...rules, primary: 'c' })).toBe('a');
    expect(election.run(candidates('a b c'), { ...rules, primary: 'c' })).toBe('c');
    expect(election.run(candidates('a b c'), { ...rules, primary: null })).toBe('c');
  });
});

describe('a choice by command', () => {
  const rules: ElectionRules = { primary: 'a', primaryReselect: 'always' };
  function chosen(): Election {
    const election = new Election();
    election.run(candidates('a b c'), rules);
    election.choose('b');
    return election;
  }

  it('stands against the primary', () => {
    const election = chosen();
    expect(election.run(candidates('a b c'), rules)).toBe('b');
    expect(election.run(candidates('a b c!'), rules)).toBe('b');
    expect(election.run(candidates('a! b c'), rules)).toBe('b');
  });

  it('ends when the primary comes up anew', () => {
    const election = chosen();
    election.run(candidates('a! b c'), rules);
    expect(election.run(candidates('a b c'), rules)).toBe('a');
  });

  it('ends when it is lost, for good', () => {
    const election = chosen();
    expect(election.run(candidates('a! b! c'), rules)).toBe('c');
    expect(election.run(candidates('a! b c'), rules)).toBe('c');
  });

  it('ends with other rules', () => {
    const election = chosen();
    election.forgetChoice();
    expect(election.run(candidates('a b c'), rules)).toBe('a');
  });
});

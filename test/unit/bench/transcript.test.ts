import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { Transcript } from '../../../bench/system/transcript.ts';
import { randomFrom, seedFor } from '../../seed.ts';

/** What is told after these pieces by streams 0 and 1, in this order. */
function told(...pieces: readonly (readonly [stream: 0 | 1, text: string])[]): string {
  const transcript = new Transcript();
  const streams = [new PassThrough(), new PassThrough()];
  for (const stream of streams) transcript.follow(stream, () => {});
  for (const [stream, text] of pieces) streams[stream]!.emit('data', text);
  return transcript.text;
}

describe('a process’s two streams', () => {
  it.each([
    [
      'a line that the other’s interrupts',
      [
        [0, 'te'],
        [1, 'Error\n'],
        [0, 'stpmd> '],
      ],
      'testpmd> Error\n',
    ],
    [
      'lines in their order',
      [
        [0, 'a\n'],
        [1, 'b\n'],
        [0, 'c\n'],
      ],
      'a\nb\nc\n',
    ],
    [
      'the rest of a piece at the end',
      [
        [0, 'a'],
        [1, 'b\n'],
        [0, 'c\nd'],
      ],
      'ac\nb\nd',
    ],
    [
      'both unfinished',
      [
        [0, 'a'],
        [1, 'b'],
        [0, 'c'],
        [1, 'd'],
        [0, '\n'],
        [1, '\n'],
      ],
      'ac\nbd\n',
    ],
    [
      'one line in many pieces',
      [
        [0, 'a'],
        [0, 'b'],
        [1, 'x\n'],
        [0, 'c'],
        [0, 'd\n'],
        [0, 'e'],
      ],
      'abcd\nx\ne',
    ],
    [
      'nothing',
      [
        [0, 'a'],
        [1, ''],
        [0, ''],
        [0, 'b'],
      ],
      'ab',
    ],
  ] as const)('%s', (_, pieces, text) => expect(told(...pieces)).toBe(text));

  it('whole lines in their order, whatever comes', () => {
    const random = randomFrom(seedFor('a transcript'));
    for (let round = 0; round < 200; round++) {
      const pieces = Array.from({ length: 30 }, (_, k): [0 | 1, string] => {
        const stream = random(2) as 0 | 1;
        return [
          stream,
          Array.from({ length: random(4) }, () => (random(3) === 0 ? '\n' : `${'ab'[stream]}${k} `)).join(''),
        ];
      });
      const lines = told(...pieces, [0, '\n'], [1, '\n']).split('\n');
      for (const stream of [0, 1] as const) {
        const said = pieces.flatMap(([by, text]) => (by === stream ? [text] : [])).join('');
        const own = new RegExp(`^(${'ab'[stream]}\\d+ )+$`);
        expect(lines.filter((line) => own.test(line))).toEqual(said.split('\n').filter(Boolean));
      }
    }
  });
});

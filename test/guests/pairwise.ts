/**
 * Few cases that cover much: rows of choices in which every two choices of different questions stand together at least once. Pure; a seed's
 * generator decides between rows that are equally good.
 */

const TRIES = 30;

/** Every pair of choices, as `question.choice+question.choice`. */
function pairsOf(row: readonly number[]): string[] {
  const pairs: string[] = [];
  for (let i = 0; i < row.length; i++)
    for (let j = i + 1; j < row.length; j++) pairs.push(`${i}.${row[i]}+${j}.${row[j]}`);
  return pairs;
}

export function allPairs(choices: readonly number[]): Set<string> {
  const pairs = new Set<string>();
  for (let i = 0; i < choices.length; i++)
    for (let j = i + 1; j < choices.length; j++)
      for (let a = 0; a < choices[i]!; a++) for (let b = 0; b < choices[j]!; b++) pairs.add(`${i}.${a}+${j}.${b}`);
  return pairs;
}

/** The pairs that `rows` leave out. */
export function uncovered(choices: readonly number[], rows: readonly (readonly number[])[]): Set<string> {
  const left = allPairs(choices);
  for (const row of rows) for (const pair of pairsOf(row)) left.delete(pair);
  return left;
}

/** Rows for questions with so many choices each; `random(n)` answers 0 … n − 1. */
export function pairwise(choices: readonly number[], random: (below: number) => number): number[][] {
  const left = allPairs(choices);
  const rows: number[][] = [];
  while (left.size > 0) {
    // Beginning with a pair that is still missing, so that every row is of use.
    const [first, second] = [...left][random(left.size)]!.split('+').map((half) => half.split('.').map(Number));
    let best: number[] = [];
    let bestCount = -1;
    for (let k = 0; k < TRIES; k++) {
      const row = choices.map((count) => random(count));
      row[first![0]!] = first![1]!;
      row[second![0]!] = second![1]!;
      const count = pairsOf(row).filter((pair) => left.has(pair)).length;
      if (count > bestCount) [best, bestCount] = [row, count];
    }
    rows.push(best);
    for (const pair of pairsOf(best)) left.delete(pair);
  }
  return rows;
}

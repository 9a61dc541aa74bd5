/**
 * Which command a line asks for, before commander is there to tell: `weft --socket x run …` is a `run`, too. Called by main.ts and
 * program.ts; pure, imports nothing.
 */

/** Options before the command that take the next word as their value. A test keeps them equal to the program's. */
export const VALUED_OPTIONS: readonly string[] = ['--socket'];

/** The first word that is neither an option nor an option's value. */
export function commandWord(args: readonly string[]): string | undefined {
  for (let i = 0; i < args.length; i++) {
    const word = args[i]!;
    if (VALUED_OPTIONS.includes(word)) i++;
    else if (!word.startsWith('-')) return word;
  }
  return undefined;
}

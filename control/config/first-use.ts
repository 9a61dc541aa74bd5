/** What may stand in a document once only: reports every use of a key after its first. Used by the cross-checks; pure. */
import { type PlacedProblem, placeOf, problemAt } from './problems.ts';

type Path = readonly (string | number)[];

export class FirstUse {
  readonly #seen = new Map<string, Path>();
  readonly #problems: PlacedProblem[];
  constructor(problems: PlacedProblem[]) {
    this.#problems = problems;
  }
  /** `remedy`: what to do about it, where that isn't plain. */
  use(key: string, path: Path, what: string, remedy: string | null = null): void {
    const first = this.#seen.get(key);
    if (first === undefined) this.#seen.set(key, path);
    else {
      const more = remedy === null ? '' : `: ${remedy}`;
      this.#problems.push(problemAt(path, `${what} is already used at ${placeOf(first)}${more}`));
    }
  }
}

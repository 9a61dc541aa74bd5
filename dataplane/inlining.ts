/**
 * Lets V8 inline more into one function than it does by default: the path is one loop over small functions, and a call costs it more
 * than the loop's own work. A flag of the process, set before the path is first optimised: by a worker at its start, and by the benches.
 * Measured with bench/path, see bench/README.md.
 */
import { setFlagsFromString } from 'node:v8';

export function widenInlining(): void {
  setFlagsFromString('--max-inlined-bytecode-size-cumulative=4000');
  setFlagsFromString('--max-inlined-bytecode-size=1500');
}

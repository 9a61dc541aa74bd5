/** The version in package.json, for `weft --version`, the API and weft_build_info. Read once, on the main thread. */
import { readFileSync } from 'node:fs';

let known: string | null = null;

/** As `0.1.0`; found beside the sources and beside dist/. */
export function version(): string {
  known ??= read();
  return known;
}

function read(): string {
  for (const path of ['../package.json', '../../package.json']) {
    try {
      const found = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as {
        name?: string;
        version?: string;
      };
      if (found.name === 'weft-switch' && found.version !== undefined) return found.version;
    } catch {
      // Not at this distance: sources and dist/ lie one folder apart.
    }
  }
  return 'unknown';
}

// Where the project lies, for code that runs from bench/ (under vitest) as well as from dist/bench/.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Absolute path of the folder that holds package.json and the bench's sources. */
export function projectRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!(existsSync(join(folder, 'package.json')) && existsSync(join(folder, 'bench')))) {
    const above = dirname(folder);
    if (above === folder) throw new Error('the project folder was not found above bench/');
    folder = above;
  }
  return folder;
}

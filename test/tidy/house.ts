/** The outline of the tree: what stands at the top, that folders explain themselves, that the commands which people are told exist. */
import { isCode, type Source } from './tree.ts';

const TOP = new Set(
  'dataplane native control bench test binding.gyp package.json tsconfig.json examples deploy README.md LICENSE package-lock.json biome.json'.split(
    ' ',
  ),
);

/** Names at the top level that don't belong there; dot files may. */
export function topFindings(paths: readonly string[]): string[] {
  const names = new Set(paths.map((path) => path.split('/', 1)[0]!));
  return [...names]
    .filter((name) => !TOP.has(name) && !name.startsWith('.'))
    .map((name) => `${name} must not stand at the top level`);
}

/** test/README.md speaks for all folders of tests, which mirror the tree. */
function needsReadme(folder: string): boolean {
  return folder !== '' && !folder.startsWith('.') && !folder.startsWith('test/');
}

export function readmeFindings(paths: readonly string[]): string[] {
  const folders = new Set(paths.filter(isCode).map((path) => path.split('/').slice(0, -1).join('/')));
  return [...folders]
    .filter((folder) => needsReadme(folder) && !paths.includes(`${folder}/README.md`))
    .sort()
    .map(
      (folder) =>
        `${folder}/README.md is missing: what it is, the order to read it in, what always holds, what it never does`,
    );
}

export interface Manifest {
  readonly bin?: Readonly<Record<string, string>>;
  readonly scripts: Readonly<Record<string, string>>;
}

const SCRIPTS = ['build', 'demo', 'test', 'test:all', 'bench', 'lint', 'format'];

/** Scripts that are missing or run a file that isn't there; `dist/x.js` is made from `x.ts`. */
export function scriptFindings({ scripts, bin }: Manifest, paths: readonly string[]): string[] {
  const missing = SCRIPTS.filter((name) => scripts[name] === undefined).map(
    (name) => `package.json has no script ${name}`,
  );
  const targets: [string, string][] = [];
  for (const [name, line] of Object.entries(scripts)) {
    for (const found of line.matchAll(/\bnode (?:-\S+ )*(\S+\.m?js)/g)) targets.push([`script ${name}`, found[1]!]);
  }
  for (const [name, file] of Object.entries(bin ?? {})) targets.push([`bin ${name}`, file]);
  const dangling = targets.flatMap(([what, file]) => {
    const source = file.startsWith('dist/') ? file.slice('dist/'.length).replace(/\.js$/, '.ts') : file;
    return paths.includes(source) ? [] : [`package.json: ${what} runs ${file}, but there is no ${source}`];
  });
  return [...missing, ...dangling];
}

/** What a person is told first. */
const TOLD = ['npm run demo', 'npm test', 'npm run test:all', 'npm run bench', 'npx weft run -c'];

/** Commands that README.md leaves out, and those in any README that don't exist. */
export function commandFindings(readmes: readonly Source[], { scripts }: Manifest, paths: readonly string[]): string[] {
  const findings: string[] = [];
  for (const { path, text } of readmes) {
    for (const [, name] of text.matchAll(/\bnpm run ([a-z][a-z:-]*)/g)) {
      if (scripts[name!] === undefined) findings.push(`${path}: npm run ${name} is no script of package.json`);
    }
    for (const [file] of text.matchAll(/\bexamples\/[a-z0-9-]+\.yaml\b/g)) {
      if (!paths.includes(file)) findings.push(`${path}: there is no ${file}`);
    }
    if (path !== 'README.md') continue;
    for (const command of TOLD) if (!text.includes(command)) findings.push(`README.md does not tell: ${command}`);
  }
  return findings;
}

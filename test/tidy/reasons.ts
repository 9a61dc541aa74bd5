/** The table of drop reasons: numbered without gaps, named alike in three places, each in use. */
import { isCode, type Source } from './tree.ts';

export interface ReasonTable {
  readonly Drop: Readonly<Record<string, number>>;
  readonly DROPS: readonly { readonly name: string; readonly sentence: string }[];
}

export function tableFindings({ Drop, DROPS }: ReasonTable): string[] {
  const findings: string[] = [];
  const names = Object.entries(Drop);
  const numbers = names.map(([, number]) => number).sort((a, b) => a - b);
  const isDense = numbers.every((number, index) => number === index + 1);
  if (!isDense) findings.push(`numbers must be 1 … ${numbers.length}, each once: ${numbers.join(' ')}`);
  if (DROPS.length !== names.length + 1)
    findings.push(`${names.length} reasons need ${names.length + 1} descriptions, 0 included: ${DROPS.length}`);
  for (const [name, number] of names) {
    const described = DROPS[number];
    const wanted = name.toLowerCase().replaceAll('_', '-');
    if (described?.name !== wanted)
      findings.push(`Drop.${name} is ${number}, which is described as ${described?.name}, not ${wanted}`);
  }
  for (const { name, sentence } of DROPS) {
    if (!/^[a-z]+(-[a-z0-9]+)*$/.test(name)) findings.push(`${name} is not kebab-case`);
    if (!/^[A-Z][^.]*\.$/.test(sentence)) findings.push(`${name}: not one sentence: ${sentence}`);
  }
  return findings;
}

const USERS = /^(dataplane|native)\//;
const TABLE = 'dataplane/drop.ts';
/** Where C++ gets its names from: a mention there is no use. */
const NAMES = /^native\/abi\.(h|ts)$/;

/** Reasons that nothing in dataplane or native drops with. */
export function unusedFindings(Drop: ReasonTable['Drop'], sources: readonly Source[]): string[] {
  const users = sources.filter(({ path }) => isCode(path) && USERS.test(path) && path !== TABLE && !NAMES.test(path));
  return Object.keys(Drop)
    .filter((name) => {
      const words = name.toLowerCase().split('_');
      const constant = `kDrop${words.map((word) => word[0]!.toUpperCase() + word.slice(1)).join('')}`;
      const use = new RegExp(`\\bDrop\\.${name}\\b|\\b${constant}\\b`);
      return !users.some(({ text }) => use.test(text));
    })
    .map((name) => `Drop.${name} is used nowhere in dataplane or native`);
}

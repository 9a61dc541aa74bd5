/**
 * `weft completion SHELL` prints a few lines that ask the hidden `weft __complete` for candidates, so that commands, options and their
 * values come from the command tree itself, and names of ports and bridges from the running daemon.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Argument, type Command, type Option } from 'commander';
import { socketPath } from '../../api/socket.ts';
import type { BondRow, BridgeRow, PortRow } from '../../switch.ts';
import { bondNamed } from '../bonds.ts';
import { type Client, makeClient } from '../client.ts';
import { type Context, examples } from '../context.ts';
import { print } from '../io.ts';

const SCRIPTS = {
  bash: `_weft() {
  local IFS=$'\\n'
  COMPREPLY=($(weft __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _weft weft`,
  zsh: `#compdef weft
_weft() {
  local -a candidates
  candidates=("\${(@f)$(weft __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "\${candidates[1]}" ]]; then compadd -a candidates; else _files; fi
}
compdef _weft weft`,
  fish: `complete -c weft -a '(weft __complete -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'`,
} as const;
type Shell = keyof typeof SCRIPTS;

/** A daemon that doesn't answer must not hold up a Tab key. */
const ASK_MS = 1000;

interface Place {
  readonly command: Command;
  /** The option whose value is being typed, or null. */
  readonly option: Option | null;
  /** Arguments given so far. */
  readonly given: readonly string[];
}

function findOption(command: Command, flag: string): Option | undefined {
  const options = [...command.options, ...(command.parent?.options ?? []), ...(command.parent?.parent?.options ?? [])];
  return options.find((option) => option.long === flag || option.short === flag);
}

/** Walks the words before the one that is being typed. */
function placeOf(program: Command, words: readonly string[]): Place {
  let command = program;
  let given: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (word.startsWith('-')) {
      const option = findOption(command, word);
      if (option?.required !== true) continue;
      if (i === words.length - 1) return { command, option, given };
      i++;
      continue;
    }
    const next = command.commands.find((child) => child.name() === word);
    if (next === undefined) given.push(word);
    else [command, given] = [next, []];
  }
  return { command, option: null, given };
}

function qualifiedNames(ports: readonly Pick<PortRow, 'bridge' | 'name'>[], qualified: boolean): string[] {
  const full = ports.map((port) => `${port.bridge}/${port.name}`);
  if (qualified) return full;
  const once = ports.filter((port) => ports.filter((other) => other.name === port.name).length === 1);
  return [...once.map((port) => port.name), ...full];
}

/** As they are written in their bond, if there is one of that name. */
async function memberNames(client: Client, bond: string): Promise<string[]> {
  return bondNamed(await client.get<BondRow[]>('/v1/bonds'), bond).members.map(({ name }) => name);
}

/** Values of an argument or option by the name it is shown with; empty where only the shell knows (files). */
async function valuesOf(name: string, client: Client, typed: string, given: readonly string[]): Promise<string[]> {
  if (name === 'port') return qualifiedNames(await client.get<PortRow[]>('/v1/ports'), typed.includes('/'));
  if (name === 'bond' || name === 'tunnel' || (name === 'name' && (given[0] === 'bonds' || given[0] === 'tunnels'))) {
    const rows = await client.get<Pick<PortRow, 'bridge' | 'name'>[]>(`/v1/${name === 'name' ? given[0] : `${name}s`}`);
    return qualifiedNames(rows, typed.includes('/'));
  }
  if (name === 'member') return memberNames(client, given.at(-1) ?? '');
  if (name === 'bridge') return (await client.get<BridgeRow[]>('/v1/bridges')).map((bridge) => bridge.name);
  if (name === 'bridge/port') return (await client.get<BridgeRow[]>('/v1/bridges')).map((bridge) => `${bridge.name}/`);
  if (name === 'number')
    return (await client.get<{ index: number }[]>('/v1/workers')).map((worker) => String(worker.index));
  return [];
}

async function quietly(asked: Promise<string[]>): Promise<string[]> {
  const waiting = new AbortController();
  const late = delay(ASK_MS, [], { ref: false, signal: waiting.signal }).catch(() => []);
  try {
    return await Promise.race([asked.catch(() => []), late]);
  } finally {
    waiting.abort();
  }
}

/** What may follow; `words` ends with the word that is being typed, empty for a new one. */
export async function complete(program: Command, words: readonly string[], client: Client): Promise<string[]> {
  const typed = words.at(-1) ?? '';
  const { command, option, given } = placeOf(program, words.slice(0, -1));
  const fits = (list: readonly string[]) => list.filter((item) => item.startsWith(typed));
  if (option !== null) {
    if (option.argChoices !== undefined) return fits(option.argChoices);
    return fits(
      await quietly(
        valuesOf(
          (option.long === '--port' || option.long === '--bridge') && option.flags.endsWith('<name>')
            ? option.attributeName()
            : '',
          client,
          typed,
          given,
        ),
      ),
    );
  }
  if (typed.startsWith('-'))
    return fits([...command.options, ...program.options].flatMap((o) => o.long ?? []).concat('--help'));
  const names = command.commands.map((child) => child.name()).filter((name) => !name.startsWith('__'));
  const argument = command.registeredArguments[given.length];
  if (argument === undefined) return given.length === 0 ? fits(names) : [];
  return fits([...names, ...(argument.argChoices ?? (await quietly(valuesOf(argument.name(), client, typed, given))))]);
}

export function addCompletion(program: Command, context: Context): void {
  const command = program
    .command('completion')
    .description('print a script that completes commands, options and names of ports')
    .addArgument(new Argument('<shell>', 'for which shell').choices(Object.keys(SCRIPTS)))
    .action((shell: Shell) => print(context.io, SCRIPTS[shell]));
  examples(
    command,
    ['completion bash > /etc/bash_completion.d/weft', 'for every user'],
    ['completion zsh > ~/.zsh/completions/_weft', 'zsh, with that folder in fpath'],
    ['completion fish > ~/.config/fish/completions/weft.fish', 'fish'],
  );
  program
    .command('__complete', { hidden: true })
    .argument('[words...]')
    .helpOption(false)
    .action(async (words: string[]) => {
      const { environment } = context.io;
      const named = words[words.indexOf('--socket') + 1];
      const option = words.includes('--socket') ? named : undefined;
      const client = makeClient(socketPath({ option, environment }));
      for (const candidate of await complete(program, words, client)) print(context.io, candidate);
    });
}

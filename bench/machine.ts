// The machine and the commit that a report was made on. One call per report, never during a measurement.
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { execa } from 'execa';
import { projectRoot } from './root.ts';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly l2: string;
  readonly virtual: boolean;
  readonly kernel: string;
  readonly node: string;
  readonly v8: string;
  readonly commit: string;
  readonly changed: boolean;
  readonly date: string;
}

/** Reads CPU, kernel, Node and commit; what can't be read is 'unknown'. */
export async function describeMachine(): Promise<Machine> {
  const git = (...args: string[]) => execa('git', args, { cwd: projectRoot(), reject: false });
  const commit = await git('rev-parse', '--short=12', 'HEAD');
  const status = await git('status', '--porcelain', '--untracked-files=no');
  const info = readText('/proc/cpuinfo');
  return {
    cpu: cpus()[0]?.model.trim() || 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    l2: readText('/sys/devices/system/cpu/cpu0/cache/index2/size').trim() || 'unknown',
    virtual: /^flags.*\bhypervisor\b/m.test(info),
    kernel: release(),
    node: process.version,
    v8: process.versions.v8 ?? 'unknown',
    commit: commit.exitCode === 0 ? String(commit.stdout).trim() : 'unknown',
    changed: status.exitCode === 0 && String(status.stdout).trim() !== '',
    date: new Date().toISOString(),
  };
}

/** One line for the head of a table. */
export function machineLine(machine: Machine): string {
  const where = machine.virtual ? ', virtual' : '';
  const dirty = machine.changed ? ' with uncommitted changes' : '';
  return (
    `${machine.cpu} (${machine.cores} cores, ${machine.l2} L2, ${machine.memoryGiB} GiB${where}), Linux ${machine.kernel}, ` +
    `Node ${machine.node} (V8 ${machine.v8}), commit ${machine.commit}${dirty}, ${machine.date}`
  );
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

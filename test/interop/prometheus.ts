/**
 * A Prometheus of its own for a test: loopback, a free port, data in a folder that goes away with it, every interval one second. Runs the
 * scrape example and the rules of deploy/ as they are, but for the target. Ended by the process that was started and by no other.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { parse, stringify } from 'yaml';
import { CONFIG_FILE, RULES_FILE } from '../unit/deploy/questions.ts';

const START_MS_MAX = 20_000;
const END_MS_MAX = 10_000;

export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface RuleState {
  readonly name: string;
  readonly health: string;
  readonly lastError?: string;
  readonly lastEvaluation: string;
}

export interface Prometheus {
  /** What an expression gives now. Throws with Prometheus' own message when it can't be evaluated. */
  query(expression: string): Promise<Sample[]>;
  /** Values of a label among the series that a selector names. */
  labelValues(selector: string, label: string): Promise<string[]>;
  rules(): Promise<RuleState[]>;
  stop(): Promise<void>;
}

export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** The example of deploy/ with this target and quick intervals. `target` is host:port of a /metrics. */
function configText(target: string): string {
  const config = parse(readFileSync(CONFIG_FILE, 'utf8'));
  config.global = { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' };
  config.rule_files = [RULES_FILE];
  config.scrape_configs[0].static_configs[0].targets = [target];
  return stringify(config);
}

interface Answer {
  readonly status: string;
  readonly error?: string;
  // biome-ignore lint/suspicious/noExplicitAny: Prometheus' answers differ by question; each caller picks what it asked for.
  readonly data: any;
}

async function ask(base: string, path: string, asked: Readonly<Record<string, string>>): Promise<Answer['data']> {
  const response = await fetch(`${base}/api/v1/${path}?${new URLSearchParams(asked)}`);
  const answer = (await response.json()) as Answer;
  if (answer.status !== 'success') throw new Error(`${answer.error}: ${JSON.stringify(asked)}`);
  return answer.data;
}

function samplesOf(data: Answer['data']): Sample[] {
  if (data.resultType === 'scalar') return [{ metric: {}, value: Number(data.result[1]) }];
  const series = data.result as { metric: Record<string, string>; value: [number, string] }[];
  return series.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
}

async function untilReady(base: string, failure: () => string | null): Promise<void> {
  const deadline = Date.now() + START_MS_MAX;
  while (Date.now() < deadline) {
    const failed = failure();
    if (failed !== null) throw new Error(`prometheus ended: ${failed}`);
    const response = await fetch(`${base}/-/ready`).catch(() => null);
    if (response?.ok) return;
    await delay(100);
  }
  throw new Error(`prometheus was not ready within ${START_MS_MAX} ms`);
}

/** Starts one that scrapes `target`; resolves when it answers. */
export async function startPrometheus(target: string): Promise<Prometheus> {
  const folder = await mkdtemp(join(tmpdir(), 'weft-prometheus-'));
  const base = `http://127.0.0.1:${await freePort()}`;
  const config = join(folder, 'prometheus.yaml');
  writeFileSync(config, configText(target));
  const child = execa(
    'prometheus',
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=${base.slice('http://'.length)}`,
      '--log.level=warn',
    ],
    { all: true, reject: false, forceKillAfterDelay: END_MS_MAX },
  );
  let ended: string | null = null;
  const end = child.then(({ all, exitCode }) => {
    ended = `exit ${exitCode}: ${all}`;
  });
  const stop = async () => {
    child.kill('SIGTERM');
    await end;
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await untilReady(base, () => ended);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    query: async (expression) => samplesOf(await ask(base, 'query', { query: expression })),
    async labelValues(selector, label) {
      const series = (await ask(base, 'series', { 'match[]': selector })) as Record<string, string>[];
      return [...new Set(series.map((labels) => labels[label]).filter((value) => value !== undefined))].sort();
    },
    async rules() {
      const { groups } = (await ask(base, 'rules', {})) as { groups: { rules: RuleState[] }[] };
      return groups.flatMap(({ rules }) => rules);
    },
    stop,
  };
}

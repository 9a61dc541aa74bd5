/**
 * `weft run`: the daemon in the foreground. Owns the process's signals; daemon.ts owns everything else. Also `weft demo`.
 * SIGTERM and SIGINT end it cleanly (exit 0), a second one ends it at once, SIGHUP applies the file again.
 */
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Daemon } from '../../daemon.ts';
import type { DemoOptions } from '../../demo/demo.ts';
import type { Log, LogLevel } from '../../log.ts';
import { version } from '../../version.ts';
import { type Context, examples } from '../context.ts';
import { type Io, print } from '../io.ts';

const LOG_LEVEL_NAMES = ['debug', 'info', 'warn', 'error', 'silent'] as const;
/** Long enough for whoever waits for `ready` to go first. */
const WARM_AFTER_MS = 100;

interface RunOptions {
  readonly config: string;
  readonly socket?: string;
  readonly keepDevices?: boolean;
  readonly logLevel: LogLevel;
}

/** Resolves when the first SIGTERM or SIGINT comes; the second ends the process through `abandon`. */
function awaitStop(abandon: () => void): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let stops = 0;
    const stop = (signal: NodeJS.Signals) => {
      if (++stops === 1) resolve(signal);
      else abandon();
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
  });
}

function readyLine(daemon: Daemon): string {
  const bridges = daemon.switch.bridges();
  const ports = bridges.reduce((sum, bridge) => sum + bridge.ports, 0);
  const metrics = daemon.metricsUrl === null ? '' : ` metrics=${daemon.metricsUrl}`;
  return `ready bridges=${bridges.length} ports=${ports} socket=${daemon.socket}${metrics}`;
}

function warmLater(daemon: Daemon, log: Log): void {
  const warm = () =>
    daemon.warm().catch((error: Error) => log.error({ err: error }, 'the API or the metrics can’t be loaded'));
  setTimeout(warm, WARM_AFTER_MS).unref();
}

function onCrash(log: Log, abandon: () => void): void {
  const crash = (error: unknown) => {
    log.error({ err: error }, 'weft failed and ends; devices stay for the next start to take over');
    abandon();
  };
  process.on('uncaughtException', crash);
  process.on('unhandledRejection', crash);
}

async function run(io: Io, options: RunOptions): Promise<number> {
  const [{ makeLog }, { startDaemon }, { openSwitch }] = await Promise.all([
    import('../../log.ts'),
    import('../../daemon.ts'),
    import('../../running/open.ts'),
  ]);
  const log = makeLog({
    level: options.logLevel,
    stream: process.stderr,
    colour: process.stderr.isTTY && !io.environment.NO_COLOR,
  });
  const abandon = () => process.exit(1);
  const stopped = awaitStop(abandon);
  onCrash(log, abandon);
  const daemon = await startDaemon({
    file: resolve(options.config),
    socket: options.socket,
    keepDevices: options.keepDevices === true,
    version: version(),
    log,
    openSwitch,
  });
  process.on('SIGHUP', () => void daemon.reload());
  print(io, readyLine(daemon));
  warmLater(daemon, log);
  log.info({ signal: await stopped }, 'weft ends');
  await daemon.close();
  return 0;
}

function seconds(text: string): number {
  const value = Number(text);
  if (!(value >= 1 && value <= 3600)) throw new InvalidArgumentError('allowed are 1 to 3600.');
  return Math.floor(value);
}

/** Options of a demo that is shown. */
const DEMO_KINDS = ['keep', 'memory', 'guests', 'seconds'];

export function addRunCommands(program: Command, context: Context): void {
  const running = program
    .command('run')
    .description('run the switch in the foreground; prints a line with `ready` when frames flow')
    .requiredOption('-c, --config <file>', 'the document')
    .option('--keep-devices', 'leave the TAPs in place at the end, for the next start to take over')
    .addOption(new Option('--log-level <level>', 'what to log').choices(LOG_LEVEL_NAMES).default('info'))
    .action(async (_options: unknown, self: Command) => {
      const options = self.optsWithGlobals<RunOptions>();
      try {
        context.exitCode = await run(context.io, options);
      } catch (error) {
        const { printError } = await import('../io.ts');
        context.exitCode = printError(context.io, error, options.config);
      }
    });
  examples(
    running,
    ['run -c weft.yaml', 'Ctrl-C ends it and removes what it made'],
    ['run -c weft.yaml --socket second.sock', 'a second one beside it'],
  );
  const demo = program
    .command('demo')
    .description('two tenants on real devices: who reaches whom, how fast, and what was lost')
    .option('--keep', 'leave everything up to look around')
    .addOption(new Option('--memory', 'over memory ports, which needs no root').conflicts('keep'))
    .addOption(new Option('--guests', 'with two QEMU guests, which needs no root').conflicts(['keep', 'memory']))
    .option('--seconds <n>', 'how long the stream runs', seconds)
    .option('--json', 'the result as JSON')
    .addOption(new Option('--clean', 'remove what kept or killed demos left, and nothing else').conflicts(DEMO_KINDS))
    .action(async (options: DemoOptions) => {
      const { runDemo } = await import('../../demo/demo.ts');
      context.exitCode = await runDemo(context.io, options);
    });
  examples(
    demo,
    ['demo', 'as root, about ten seconds'],
    ['demo --memory', 'without root'],
    ['demo --guests', 'without root, where QEMU is installed'],
  );
}

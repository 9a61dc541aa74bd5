/**
 * `weft events`, `weft capture` and `weft top`: commands that go on until they are interrupted or the daemon goes.
 */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { EventsLost } from '../../api/streams.ts';
import { WeftError } from '../../errors.ts';
import type { CapturedFrame, SwitchEvent } from '../../switch.ts';
import { query } from '../client.ts';
import { type Context, clientOf, examples } from '../context.ts';
import { type Colour, type Io, note, paint, print } from '../io.ts';
import { findPort } from '../ports.ts';

/** Calls `stop` at Ctrl-C or SIGTERM until the returned function is called. */
function onInterrupt(stop: () => void): () => void {
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  return () => {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  };
}

/** A port, of a tunnel with the far end. */
function placeOf(port: string, remote: string | null): string {
  return remote === null ? port : `${port} (${remote})`;
}

function detail(event: SwitchEvent | EventsLost): { subject: string; text: string; colour: Colour } {
  switch (event.type) {
    case 'port-up':
      return { subject: `${event.bridge}/${event.port}`, text: '', colour: 'green' };
    case 'port-down':
      return { subject: `${event.bridge}/${event.port}`, text: event.reason, colour: 'red' };
    case 'address-moved':
      return {
        subject: event.bridge,
        text: `${event.mac} in VLAN ${event.vlan}: ${placeOf(event.from, event.fromRemote)} → ${placeOf(event.to, event.toRemote)}`,
        colour: 'yellow',
      };
    case 'worker-restarted':
      return { subject: `worker ${event.worker}`, text: event.reason, colour: 'red' };
    case 'bond-changed': {
      const carrying = event.carrying.length === 0 ? 'no member carries' : `carrying ${event.carrying.join(', ')}`;
      const active = event.active === null ? '' : `, active ${event.active}`;
      return {
        subject: `${event.bridge}/${event.port}`,
        text: `${carrying}${active}: ${event.reason}`,
        colour: event.carrying.length === 0 ? 'red' : 'yellow',
      };
    }
    case 'remote-changed': {
      const { bridge, port, remote, state, reason } = event;
      const text = `${remote} is ${state}${reason === null ? '' : `: ${reason}`}`;
      return { subject: `${bridge}/${port}`, text, colour: state === 'up' ? 'green' : 'red' };
    }
    case 'mtu-changed':
      return {
        subject: `${event.bridge}/${event.port}`,
        text: `MTU ${event.from} → ${event.to}: ${event.reason}`,
        colour: event.to < event.from ? 'yellow' : 'cyan',
      };
    case 'config-applied':
      return { subject: '', text: `${event.steps} ${event.steps === 1 ? 'step' : 'steps'}`, colour: 'cyan' };
    case 'events-lost':
      return { subject: '', text: `${event.count} events were not sent: this reader was too slow`, colour: 'yellow' };
  }
}

/** `12:34:56 port-down  br0/web  the namespace is gone` */
export function eventLine(io: Pick<Io, 'colour'>, event: SwitchEvent | EventsLost): string {
  const { subject, text, colour } = detail(event);
  const time = event.time.includes('T') ? event.time.slice(11, 19) : event.time;
  return [time, paint(io, colour, event.type), subject, text].filter((part) => part !== '').join('  ');
}

async function events(context: Context, options: { json?: boolean }, self: Command): Promise<void> {
  const { io } = context;
  const stream = await clientOf(context, self).stream('/v1/events');
  let interrupted = false;
  const done = onInterrupt(() => {
    interrupted = true;
    stream.destroy();
  });
  const { createInterface } = await import('node:readline');
  try {
    for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
      if (line !== '') print(io, options.json === true ? line : eventLine(io, JSON.parse(line)));
    }
  } catch (error) {
    if (!interrupted) throw new WeftError('connection', `the daemon went away: ${(error as Error).message}`);
  } finally {
    done();
  }
  if (!interrupted) throw new WeftError('connection', 'the daemon ended');
}

interface CaptureOptions {
  readonly write?: string;
  readonly direction?: string;
  readonly vlan?: string;
  readonly mac?: string;
  readonly ethertype?: string;
  readonly snapLength?: number;
  readonly count?: number;
  readonly json?: boolean;
}

function positive(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('It is not a whole number above 0.');
  return Number(text);
}

function timeOf(ns: bigint): string {
  const ms = new Date(Number(ns / 1_000_000n)).toISOString().slice(11, 19);
  return `${ms}.${String(ns % 1_000_000_000n)
    .padStart(9, '0')
    .slice(0, 6)}`;
}

async function framePrinter(io: Io, json: boolean) {
  const { summarise } = await import('../../capture/summary.ts');
  return (frame: CapturedFrame): void => {
    const { direction, time, originalBytes, bytes } = frame;
    if (json) {
      const hex = Buffer.from(bytes).toString('hex');
      print(io, JSON.stringify({ time: String(time), direction, originalBytes, bytes: hex }));
      return;
    }
    const sign = direction === 'in' ? paint(io, 'green', 'in ') : paint(io, 'cyan', 'out');
    print(io, `${timeOf(time)} ${sign} ${summarise(bytes)}, ${originalBytes} bytes`);
  };
}

async function capture(context: Context, text: string, options: CaptureOptions, self: Command): Promise<void> {
  const { io } = context;
  const toStdout = options.write === '-';
  if (toStdout && io.terminal) {
    const hint = 'as in `weft capture web -w - | tcpdump -r -`, or leave -w out to read it here';
    throw new WeftError('usage', 'a capture is not text: pipe it', { exitCode: 2, hint });
  }
  const client = clientOf(context, self);
  const { bridge, port } = await findPort(client, text);
  const { direction, vlan, mac, ethertype: etherType, snapLength, count } = options;
  const [{ PcapngReader }, show] = await Promise.all([
    import('../../capture/reader.ts'),
    framePrinter(io, options.json === true),
  ]);
  const stream = await client.stream(
    `/v1/capture${query({ bridge, port, direction, vlan, mac, etherType, snapLength, count })}`,
  );
  const reader = new PcapngReader(options.write === undefined ? show : () => undefined);
  const target: NodeJS.WritableStream | null =
    options.write === undefined ? null : toStdout ? io.out : createWriteStream(options.write);
  target?.on('error', (error: Error) => stream.destroy(error));
  let interrupted = false;
  const done = onInterrupt(() => {
    interrupted = true;
    stream.destroy();
  });
  if (options.write !== undefined) note(io, `capturing ${bridge}/${port}, Ctrl-C ends it`);
  try {
    for await (const piece of stream) {
      reader.push(piece as Buffer);
      // Rejects when the file says what is wrong with it; once it has, `stream` is gone and ends the loop.
      if (target?.writable === true && !target.write(piece as Buffer)) await once(target, 'drain');
    }
  } catch (error) {
    if (!interrupted) throw captureError(error as NodeJS.ErrnoException);
  } finally {
    done();
    if (target !== null && !toStdout) await ended(target);
  }
  note(io, `${reader.frames} frames captured, ${reader.lost} lost because this reader was too slow`);
}

async function ended(target: NodeJS.WritableStream): Promise<void> {
  target.end();
  await finished(target).catch(() => undefined);
}

function captureError(error: NodeJS.ErrnoException): WeftError {
  if (error.syscall === 'open' || error.syscall === 'write') {
    const hint = 'what was written until then can be read; --snap-length 128 keeps heads only, --count ends in time';
    return new WeftError('unwritable-file', error.message, {
      cause: error,
      ...(error.code === 'ENOSPC' ? { hint } : {}),
    });
  }
  return new WeftError('connection', `the capture broke off: ${error.message}`, { cause: error });
}

function addCapture(program: Command, context: Context): void {
  const command = program
    .command('capture')
    .description('show or write frames as they pass a port')
    .argument('<port>', 'as br0/web, or web where only one bridge has it')
    .option('-w, --write <file>', 'write pcapng to a file, or to standard output with -')
    .addOption(
      new Option('--direction <which>', 'in is what the switch receives')
        .choices(['in', 'out', 'both'])
        .default('both'),
    )
    .option('--vlan <number>', 'only frames with this tag on the wire, 0 for those without')
    .option('--mac <address>', 'only frames from or to this address')
    .option('--ethertype <type>', 'only this type, as 0x0806, arp, ipv4, ipv6')
    .option('--snap-length <bytes>', 'keep only so much of each frame', positive)
    .option('--count <frames>', 'end after so many', positive)
    .option('--json', 'one JSON object a frame, bytes in hex')
    .action((port: string, options: CaptureOptions, self: Command) => capture(context, port, options, self));
  examples(
    command,
    ['capture web', 'a line a frame'],
    ['capture web -w - | tcpdump -nr -', 'through tcpdump'],
    ['capture br0/web -w - --vlan 10 | wireshark -k -i -', 'live in Wireshark'],
    ['capture web -w web.pcapng --count 1000 --snap-length 128', 'the heads of 1,000 frames'],
  );
}

export function addWatchCommands(program: Command, context: Context): void {
  const watching = program
    .command('events')
    .description(
      'print events as they happen: ports up and down, bonds that change, addresses that move, workers restarted, documents applied',
    )
    .option('--json', 'one JSON object a line')
    .action((options: { json?: boolean }, self: Command) => events(context, options, self));
  examples(watching, ['events', 'until Ctrl-C'], ['events --json', 'for programs']);
  addCapture(program, context);
  const top = program
    .command('top')
    .description('rates of ports and workers, live; q quits. Without a terminal one measurement is printed')
    .option('--interval <seconds>', 'time between measurements', positive, 1)
    .option('--json', 'one measurement as JSON')
    .action(async (options: { interval: number; json?: boolean }, self: Command) => {
      const { runTop } = await import('../top.ts');
      await runTop(context.io, clientOf(context, self), options.interval * 1000, options.json === true);
    });
  examples(top, ['top', 'live until q'], ['top --interval 5 --json', 'mean rates over five seconds']);
}

/**
 * The life of a TAP outside its descriptors: name, mark, MAC, MTU, namespace, addresses, gateway. Called by the running
 * switch on the main thread; native code opens the queues through the injected `TapOpener`. Never touches a device without
 * our mark.
 *
 * A port in a namespace is opened here under a passing name, marked, and moved and renamed in one step, so that `eth0` in a
 * container never meets the host's `eth0`. All queues are opened before the move: attaching by name afterwards would
 * silently make a second device here. The device becomes persistent last: whatever fails or is killed before
 * leaves nothing behind, since the device dies with its descriptors.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { DeviceError } from '../errors.ts';
import { inParallel, ipBatch, type RunIp, runIp, withoutQdisc } from './ip.ts';
import { byNetns, type Device, devicesIn, isOf, markOf, NETNS_FOLDER, NETNS_WIDTH, removeMarked } from './marked.ts';
import { changeCommands, setupCommands, type TapCommand } from './tap-commands.ts';
import type { TapSpec } from './tap-spec.ts';

export { type TapSpec, tapSpec } from './tap-spec.ts';

/** What native code does for us. `H` is its handle of an open TAP with all its queues. */
export interface TapOpener<H> {
  /**
   * Opens all queues of a TAP that is not persistent yet, or (takeover) attaches to one that exists: there in the namespace
   * at `netnsPath` where it is not null. Throws an Error with `code` and `errno`.
   */
  open(name: string, queues: number, options: { readonly netnsPath: string | null }): H | Promise<H>;
  /** The device outlives its descriptors from now on. */
  persist(handle: H): void;
  close(handle: H): void;
}

export type TapOutcome<H> =
  | { readonly spec: TapSpec; readonly handle: H; readonly takenOver: boolean }
  | { readonly spec: TapSpec; readonly error: DeviceError };

export type OpenTap<H> = Extract<TapOutcome<H>, { handle: H }>;

export interface TapDevicesOptions<H> {
  readonly opener: TapOpener<H>;
  /** This daemon in its devices' marks. */
  readonly owner: string;
  readonly run?: RunIp;
  readonly netnsFolder?: string;
}

/** A TAP on its way: opened under `opened`, to be `spec.device`. */
interface Attempt<H> {
  readonly spec: TapSpec;
  /** The device that was there before, with our mark and held by nobody. */
  readonly existing: Device | null;
  readonly opened: string;
  handle: H | null;
  error: DeviceError | null;
}

function passingName(): string {
  return `wf${randomBytes(6).toString('hex')}`;
}

/** What stands in the way of a spec, given the device of that name. */
function obstacle(spec: TapSpec, device: Device): DeviceError | null {
  const where = `device ${spec.device}${spec.netns === null ? '' : ` in namespace ${spec.netns}`}`;
  const subject = `${spec.bridge}/${spec.port}`;
  if (device.mark === null || !device.isTap) {
    const hint = 'Rename or remove it, or give the port another device: weft never touches one that it did not make.';
    return new DeviceError('device-exists', `${subject}: ${where} exists and was not made by weft`, hint);
  }
  if (!device.inUse) return null;
  const owner = `${device.mark.bridge}/${device.mark.port}`;
  return new DeviceError(
    'device-in-use',
    `${subject}: ${where} is held by a running process, as ${owner}`,
    'Is another weft running?',
  );
}

export class TapDevices<H> {
  readonly #opener: TapOpener<H>;
  readonly #owner: string;
  readonly #run: RunIp;
  readonly #folder: string;

  constructor(options: TapDevicesOptions<H>) {
    this.#opener = options.opener;
    this.#owner = options.owner;
    this.#run = options.run ?? runIp;
    this.#folder = options.netnsFolder ?? NETNS_FOLDER;
  }

  /**
   * Makes TAPs, or takes over those that an earlier run left; each is up, configured and persistent when it is answered
   * without an error. One that fails leaves nothing behind and does not stop the others. In the order of `specs`.
   */
  async create(specs: readonly TapSpec[], queues: number): Promise<TapOutcome<H>[]> {
    const attempts = await this.#look(specs);
    for (const attempt of attempts) if (attempt.error === null) await this.#open(attempt, queues);
    await this.#configureHere(attempts).catch((error: unknown) => {
      // No process could be had for any of them: each is closed below, and thereby gone.
      for (const attempt of attempts.filter(isOpen)) attempt.error = named(attempt.spec, error as DeviceError);
    });
    await this.#configureThere(attempts);
    return attempts.map((attempt) => this.#finish(attempt));
  }

  /** Takes back what `create` answered: new devices go, those taken over stay as they were found, closed. */
  async undo(created: readonly OpenTap<H>[]): Promise<void> {
    try {
      await this.remove(created.filter((tap) => !tap.takenOver).map((tap) => tap.spec));
    } finally {
      for (const tap of created) this.#opener.close(tap.handle);
    }
  }

  /** Live changes of MAC, MTU, addresses and gateways. Throws the first DeviceError, with what it did undone. */
  async change(before: TapSpec, after: TapSpec): Promise<void> {
    const failure = await this.#batch(after.netns, changeCommands(before, after));
    if (failure === null) return;
    await this.#batch(after.netns, changeCommands(after, before)).catch(() => null);
    throw failure;
  }

  /** Removes devices of ports that are deleted; the caller closes their handles. One that is gone already is fine. */
  async remove(specs: readonly TapSpec[]): Promise<void> {
    const find = async ([netns, group]: [string | null, TapSpec[]]) => {
      const wanted = new Map(group.map((spec) => [spec.device, spec]));
      const there = await devicesIn(this.#run, netns).catch((error: unknown) => {
        if (error instanceof DeviceError && error.code === 'no-such-netns') return [];
        throw error;
      });
      return there.filter(({ name, mark }) => wanted.has(name) && isOf(mark, wanted.get(name)!));
    };
    const found = (await inParallel([...byNetns(specs)], NETNS_WIDTH, find)).flat();
    const failures = await removeMarked(this.#run, found);
    if (failures.length > 0) throw failures[0];
  }

  /** How devices that somebody holds are now; `gone` is also one that is not the port's. In the order of `specs`. */
  async see(specs: readonly TapSpec[]): Promise<('up' | 'down' | 'gone')[]> {
    const there = await this.#there(specs);
    return specs.map((spec) => {
      const devices = there.get(spec.netns)!;
      const device = devices instanceof DeviceError ? undefined : devices.get(spec.device);
      const { mark = null, inUse = false, adminUp = false } = device ?? {};
      if (!inUse || !isOf(mark, spec)) return 'gone';
      return adminUp ? 'up' : 'down';
    });
  }

  /** The devices of every namespace that the specs name. */
  async #there(specs: readonly TapSpec[]): Promise<Map<string | null, Map<string, Device> | DeviceError>> {
    const there = new Map<string | null, Map<string, Device> | DeviceError>();
    await inParallel([...byNetns(specs).keys()], NETNS_WIDTH, async (netns) => {
      try {
        there.set(netns, new Map((await devicesIn(this.#run, netns)).map((device) => [device.name, device])));
      } catch (error) {
        if (!(error instanceof DeviceError)) throw error;
        there.set(netns, error);
      }
    });
    return there;
  }

  /** What is there under the wanted names, and what can't be. */
  async #look(specs: readonly TapSpec[]): Promise<Attempt<H>[]> {
    const there = await this.#there(specs);
    return specs.map((spec) => {
      const devices = there.get(spec.netns)!;
      const fresh = { spec, existing: null, opened: spec.netns === null ? spec.device : passingName(), handle: null };
      if (devices instanceof DeviceError) return { ...fresh, error: devices };
      const existing = devices.get(spec.device);
      if (existing === undefined) return { ...fresh, error: null };
      return { ...fresh, existing, opened: spec.device, error: obstacle(spec, existing) };
    });
  }

  async #open(attempt: Attempt<H>, queues: number): Promise<void> {
    const { netns } = attempt.spec;
    const netnsPath = attempt.existing === null || netns === null ? null : join(this.#folder, netns);
    try {
      attempt.handle = await this.#opener.open(attempt.opened, queues, { netnsPath });
    } catch (error) {
      attempt.error = openError(attempt.spec, error);
    }
  }

  /** One process for everything in the namespace of the daemon: whole setups, or mark and move. */
  async #configureHere(attempts: readonly Attempt<H>[]): Promise<void> {
    await this.#withoutQdisc(
      null,
      attempts.filter((attempt) => attempt.spec.netns === null),
    );
    const commands = attempts.filter(isOpen).flatMap((attempt): TapCommand<Attempt<H>>[] => {
      const { spec, existing, opened } = attempt;
      if (spec.netns === null) return setupCommands(attempt, spec, existing, this.#owner);
      if (existing !== null) return [];
      const mark = markOf(spec.bridge, spec.port, this.#owner);
      return [
        { of: attempt, line: `link set dev ${opened} alias ${mark}`, ignore: [] },
        { of: attempt, line: `link set dev ${opened} netns ${spec.netns} name ${spec.device}`, ignore: [] },
      ];
    });
    await this.#carryOut(null, commands);
  }

  /** One process for each namespace. */
  async #configureThere(attempts: readonly Attempt<H>[]): Promise<void> {
    const moved = attempts
      .filter((attempt) => isOpen(attempt) && attempt.spec.netns !== null)
      .map((attempt) => ({ netns: attempt.spec.netns, attempt }));
    const groups = [...byNetns(moved)].map(([netns, group]) => [netns, group.map(({ attempt }) => attempt)] as const);
    await inParallel(groups, NETNS_WIDTH, async ([netns, group]) => {
      await this.#withoutQdisc(netns, group);
      const commands = group.flatMap((attempt) => setupCommands(attempt, attempt.spec, attempt.existing, this.#owner));
      try {
        await this.#carryOut(netns, commands);
      } catch (error) {
        for (const attempt of group) attempt.error ??= error as DeviceError;
      }
    });
  }

  /** Where the device is still down: on one that is up the change would stop its traffic for a moment. */
  async #withoutQdisc(netns: string | null, attempts: readonly Attempt<H>[]): Promise<void> {
    const down = attempts.filter((attempt) => isOpen(attempt) && attempt.existing?.adminUp !== true);
    await withoutQdisc(
      this.#run,
      netns,
      down.map(({ spec }) => spec.device),
    );
  }

  async #carryOut(netns: string | null, commands: readonly TapCommand<Attempt<H>>[]): Promise<void> {
    const failures = await ipBatch(
      this.#run,
      netns,
      commands.map(({ line }) => line),
    );
    for (const { index, error } of failures) {
      const { of: attempt, ignore } = commands[index]!;
      if (!ignore.includes(error.code)) attempt.error ??= named(attempt.spec, error);
    }
  }

  #finish(attempt: Attempt<H>): TapOutcome<H> {
    const { spec, handle, existing } = attempt;
    if (attempt.error === null && handle !== null) {
      try {
        this.#opener.persist(handle);
        return { spec, handle, takenOver: existing !== null };
      } catch (error) {
        attempt.error = openError(spec, error);
      }
    }
    if (handle !== null) this.#opener.close(handle);
    return {
      spec,
      error: attempt.error ?? new DeviceError('ip-failed', `${spec.bridge}/${spec.port}: no TAP was opened`),
    };
  }

  /** The first failure that counts, or null. */
  async #batch(netns: string | null, commands: readonly TapCommand<TapSpec>[]): Promise<DeviceError | null> {
    const failures = await ipBatch(
      this.#run,
      netns,
      commands.map(({ line }) => line),
    );
    const first = failures.find(({ index, error }) => !commands[index]!.ignore.includes(error.code));
    return first === undefined ? null : named(commands[first.index]!.of, first.error);
  }
}

function isOpen<H>(attempt: Attempt<H>): boolean {
  return attempt.handle !== null && attempt.error === null;
}

function named(spec: TapSpec, error: DeviceError): DeviceError {
  return new DeviceError(error.code, `${spec.bridge}/${spec.port}: ${error.message}`, error.hint, error);
}

const OPEN_HINTS: Readonly<Record<string, string>> = {
  ENOENT: 'Is there a /dev/net/tun? (modprobe tun; in a container: --device /dev/net/tun)',
  ENODEV: 'Is there a /dev/net/tun? (modprobe tun; in a container: --device /dev/net/tun)',
  EPERM: 'Run as root, or with CAP_NET_ADMIN.',
  EACCES: 'Run as root, or with CAP_NET_ADMIN.',
  EMFILE: 'Raise the limit of open files (ulimit -n, LimitNOFILE=).',
  ENFILE: 'The host is out of open files (fs.file-max).',
  ENOSPC: 'The host is out of devices or memory.',
};

function openError(spec: TapSpec, error: unknown): DeviceError {
  if (error instanceof DeviceError) return named(spec, error);
  const { code = '', message } = error as NodeJS.ErrnoException;
  const text = `${spec.bridge}/${spec.port}: the TAP ${spec.device} could not be opened: ${message}`;
  return new DeviceError('tap-failed', text, OPEN_HINTS[code] ?? null, error);
}

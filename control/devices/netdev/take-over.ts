/**
 * The bridged model: what an interface is for its host moves to a TAP while weft carries the interface's frames, and back at the end.
 * Called by netdev-device.ts and, for what a killed run left, at the start; main thread.
 *
 * A file says what was moved, written before anything is; so nothing is lost wherever the process is killed:
 *   taking     the file has all of it; both interfaces together have it too
 *   taken      the TAP has it, and what its host changed meanwhile
 *   returning  the file has all of it again
 */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DeviceError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { ipBatch, type RunIp } from '../ip.ts';
import { addLines, type Belongings, belongingsOf, dropLines, together } from './belongings.ts';
import type { Interface, Interfaces } from './interfaces.ts';

export const STATE_FOLDER = '/run/weft';
/** Codes of failures that don't count: it is there, or gone, already. */
const FINE = new Set(['already-there', 'not-there']);

interface Taken {
  readonly phase: 'taking' | 'taken' | 'returning';
  readonly interface: { readonly name: string; readonly index: number; readonly mac: string };
  readonly tap: { readonly name: string; readonly mac: string };
  readonly belongings: Belongings;
}

export interface TakeOverParts {
  readonly run: RunIp;
  readonly interfaces: Interfaces;
  readonly log: Log;
  /** Where it is remembered what was moved. */
  readonly folder?: string;
}

/** Files of other network namespaces lie in the same folder. */
function netnsNumber(): number {
  return statSync('/proc/self/ns/net').ino;
}

export class TakeOver {
  readonly #parts: TakeOverParts;
  readonly #folder: string;
  readonly #prefix = `take-over.${netnsNumber()}.`;

  constructor(parts: TakeOverParts) {
    this.#parts = parts;
    this.#folder = parts.folder ?? STATE_FOLDER;
  }

  /** Moves what `item` has to the TAP. Again, when the TAP or the interface was made anew. Throws a DeviceError. */
  async take(item: Interface, tap: string): Promise<void> {
    const { run, interfaces, log } = this.#parts;
    const before = this.#read(tap);
    const now = await belongingsOf(run, item.name);
    const belongings = before === null ? now : together(before.belongings, now);
    const tapMac = before?.tap.mac ?? (await interfaces.byName(tap))?.mac ?? '';
    const { name, index, mac } = item;
    const taken: Taken = {
      phase: 'taking',
      interface: { name, index, mac },
      tap: { name: tap, mac: tapMac },
      belongings,
    };
    this.#write(taken);
    // The network knows this machine by that address: neighbours, leases and switches need not learn another one.
    const failed = await this.#carryOut([`link set dev ${tap} address ${mac}`, ...addLines(belongings, tap)]);
    const lost = failed.find((line) => line.startsWith('addr '));
    if (lost !== undefined) {
      await this.giveBack(tap);
      throw new DeviceError('take-over-failed', `${tap} does not take an address of ${name}: ip ${lost}`);
    }
    await this.#carryOut(dropLines(belongings, name, tap));
    this.#write({ ...taken, phase: 'taken' });
    log.info({ from: name, to: tap, addresses: textOf(belongings) }, 'addresses and routes were taken over');
  }

  /** Moves everything back. What can't be is logged and stays remembered. Never rejects. */
  async giveBack(tap: string): Promise<void> {
    const { log } = this.#parts;
    const taken = this.#read(tap);
    if (taken === null) return;
    try {
      await this.#giveBack(taken);
    } catch (error) {
      const { name } = taken.interface;
      log.error({ from: tap, to: name, reason: (error as Error).message }, 'addresses could not be given back');
    }
  }

  /** Gives back what runs of this namespace left that were killed. */
  async giveBackAll(): Promise<void> {
    for (const tap of this.#left()) await this.giveBack(tap);
  }

  #left(): string[] {
    try {
      const names = readdirSync(this.#folder).filter((name) => name.startsWith(this.#prefix) && name.endsWith('.json'));
      return names.map((name) => name.slice(this.#prefix.length, -'.json'.length));
    } catch {
      return [];
    }
  }

  async #giveBack(taken: Taken): Promise<void> {
    const { interfaces, log } = this.#parts;
    const { tap } = taken;
    const all = await interfaces.see();
    const { index, mac } = taken.interface;
    const others = all.filter((item) => item.mac === mac && item.name !== tap.name);
    const home = others.find((item) => item.index === index) ?? others[0];
    const hasTap = all.some((item) => item.name === tap.name);
    const belongings = hasTap && taken.phase === 'taken' ? await this.#held(taken) : taken.belongings;
    const returning: Taken = { ...taken, phase: 'returning', belongings };
    this.#write(returning);
    if (home === undefined) {
      log.warn(
        { device: taken.interface.name, addresses: textOf(belongings) },
        'an interface that weft took over is gone; its addresses wait for it',
      );
      return;
    }
    await this.#carryOut(addLines(belongings, home.name));
    if (hasTap) {
      const own = tap.mac === '' ? [] : [`link set dev ${tap.name} address ${tap.mac}`];
      await this.#carryOut([...dropLines(belongings, tap.name, home.name), ...own]);
    }
    rmSync(this.#file(tap.name), { force: true });
    log.info({ from: tap.name, to: home.name, addresses: textOf(belongings) }, 'addresses and routes were given back');
  }

  /** What the TAP has by now; a TAP that was made anew has nothing, and the file is right. */
  async #held(taken: Taken): Promise<Belongings> {
    const now = await belongingsOf(this.#parts.run, taken.tap.name);
    return now.addresses.length === 0 ? taken.belongings : now;
  }

  /** Runs all of it, whatever fails. Logs and answers the lines that failed and count. */
  async #carryOut(lines: readonly string[]): Promise<string[]> {
    const failures = await ipBatch(this.#parts.run, null, lines);
    const counting = failures.filter(({ error }) => !FINE.has(error.code));
    for (const { index, error } of counting)
      this.#parts.log.warn({ command: `ip ${lines[index]}`, reason: error.message }, 'a part of a take-over failed');
    return counting.map(({ index }) => lines[index]!);
  }

  #file(tap: string): string {
    return join(this.#folder, `${this.#prefix}${tap}.json`);
  }

  #read(tap: string): Taken | null {
    try {
      return JSON.parse(readFileSync(this.#file(tap), 'utf8')) as Taken;
    } catch {
      return null;
    }
  }

  /** As a whole or not at all, also when the machine dies. */
  #write(taken: Taken): void {
    const file = this.#file(taken.tap.name);
    mkdirSync(this.#folder, { recursive: true, mode: 0o755 });
    const descriptor = openSync(`${file}.new`, 'w', 0o600);
    try {
      // Unlike writeSync, wholly or with an error: a full disk takes a part first.
      writeFileSync(descriptor, JSON.stringify(taken));
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(`${file}.new`, file);
  }
}

function textOf({ addresses }: Belongings): string[] {
  return addresses.map(({ address }) => address);
}

/**
 * Remembers over a restart of the daemon which member of each bond was the active one, in a file beside the daemon's socket, so that a new
 * start does not move hosts to another link (Open vSwitch's bond_active_slave). What can't be read or written is forgotten: a bond then
 * elects as at its first start. Main thread.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { Log } from '../log.ts';

export class BondMemory {
  readonly #file: string;
  readonly #log: Log;
  readonly #active: Map<string, string>;
  #warned = false;
  #closed = false;

  /** `socket`: the daemon's own. */
  constructor(socket: string, log: Log) {
    this.#file = `${socket}.bonds.json`;
    this.#log = log;
    this.#active = read(this.#file);
  }

  /** Who was active in `bond`, written `bridge/port`; null: nobody knows. */
  recall(bond: string): string | null {
    return this.#active.get(bond) ?? null;
  }

  /** The switch ends: whoever is active while members leave one by one is not worth knowing. */
  close(): void {
    this.#closed = true;
  }

  /** A bond without an active member keeps what was said of it before: it may be down for a moment. */
  note(bond: string, active: string | null): void {
    if (this.#closed || active === null || this.#active.get(bond) === active) return;
    this.#active.set(bond, active);
    try {
      const text = `${JSON.stringify(Object.fromEntries(this.#active))}\n`;
      writeFileSync(`${this.#file}.new`, text, { mode: 0o600 });
      renameSync(`${this.#file}.new`, this.#file);
    } catch (error) {
      if (!this.#warned)
        this.#log.warn({ reason: (error as Error).message }, 'which members of bonds are active can’t be remembered');
      this.#warned = true;
    }
  }
}

function read(file: string): Map<string, string> {
  try {
    const found: unknown = JSON.parse(readFileSync(file, 'utf8'));
    const entries = typeof found === 'object' && found !== null ? Object.entries(found) : [];
    return new Map(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
  } catch {
    return new Map();
  }
}

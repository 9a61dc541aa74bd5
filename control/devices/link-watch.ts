/**
 * Reports what happens to devices and namespaces while the switch runs. Made by the running switch on the main thread.
 *
 * One `ip monitor` with `all-nsid` hears every namespace that has an nsid here; a monitor in each would be a process in
 * each, and would keep a deleted namespace and its devices alive. The kernel reports a namespace's end; that one
 * (again) has a name is seen in /run/netns. The monitor is started again when it dies, and what it missed is found by looking.
 */
import { spawn } from 'node:child_process';
import { existsSync, type FSWatcher, readFileSync, watch } from 'node:fs';
import { createInterface } from 'node:readline';
import { DeviceError } from '../errors.ts';
import { inParallel, ipBatch, ipEnvironment, ipJson, type RunIp, runIp } from './ip.ts';
import { type LinkLine, type NetnsLine, parseMonitorLine } from './link-lines.ts';
import { type LinkEvent, LinkState } from './link-state.ts';
import { devicesIn, NETNS_FOLDER, NETNS_WIDTH, netnsNames } from './marked.ts';

export interface WatchClock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Answers a function that cancels. */
  after(milliseconds: number, callback: () => void): () => void;
}

export const systemClock: WatchClock = {
  now: () => Date.now(),
  after: (milliseconds, callback) => {
    const timer = setTimeout(callback, milliseconds).unref();
    return () => clearTimeout(timer);
  },
};

/** A running monitor: lines until it ends. */
export interface Monitor {
  /** Ends it; `onEnd` follows. */
  stop(): void;
}

export type StartMonitor = (onLine: (line: string) => void, onEnd: (reason: string) => void) => Monitor;

export interface LinkWatchOptions {
  readonly onEvent: (event: LinkEvent) => void;
  readonly run?: RunIp;
  readonly startMonitor?: StartMonitor;
  readonly clock?: WatchClock;
  readonly netnsFolder?: string;
}

const RESTART_MS = 500;
const RESTART_MAX_MS = 10_000;
/** A name in /run/netns is there shortly before the namespace is mounted on it. */
const POLL_MS = 1000;
/** A monitor that was just started may not listen yet: a second look finds what fell between. */
const SETTLE_MS = 300;

const CAP_NET_BROADCAST = 11n;

/** Who may hear all namespaces does; an ordinary user, who has no devices elsewhere, hears his own. `status` is the text of /proc/self/status. */
export function monitorArguments(status: string): string[] {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const all = ((effective >> CAP_NET_BROADCAST) & 1n) === 1n ? ['nsid', 'all-nsid'] : [];
  return ['-o', 'monitor', 'link', ...all];
}

/** Plain child_process: execa took 60–110 ms of every start to load (measured 2026-11, Node 20). */
export const startIpMonitor: StartMonitor = (onLine, onEnd) => {
  const args = monitorArguments(readFileSync('/proc/self/status', 'utf8'));
  const env = { ...process.env, ...ipEnvironment() };
  const child = spawn('ip', args, { stdio: ['ignore', 'pipe', 'pipe'], env });
  const stop = () => void child.kill();
  let ended = false;
  const end = (reason: string): void => {
    process.off('exit', stop);
    if (!ended) onEnd(reason);
    ended = true;
  };
  // A monitor whose reader is gone would go on until the next event.
  process.on('exit', stop);
  child.on('error', (error) => end(`ip monitor could not be run: ${error.message}`));
  child.on('close', (code, signal) => end(`ip monitor ended with ${code ?? signal}`));
  // Out of descriptors it has no pipes, only the error. `ip` reports an overrun on stderr and goes on; only a new look shows what was lost.
  child.stderr?.on('data', stop);
  if (child.stdout) createInterface({ input: child.stdout }).on('line', onLine);
  return { stop };
};

export class LinkWatch {
  readonly #options: Required<LinkWatchOptions>;
  readonly #state = new LinkState();
  readonly #watched = new Set<string>();
  readonly #names = new Map<number, string>();
  #monitor: Monitor | null = null;
  #folder: FSWatcher | null = null;
  #cancelPoll = (): void => {};
  #cancelRestart = (): void => {};
  #cancelSettle = (): void => {};
  #seeking = false;
  #restartMs = RESTART_MS;
  /** Looks run one after the other; lines that arrive during one are taken after it, so that the newest sight wins. */
  #looking: Promise<void> = Promise.resolve();
  #pending: (LinkLine | NetnsLine)[] | null = null;
  #closed = false;

  constructor(options: LinkWatchOptions) {
    this.#options = {
      run: runIp,
      startMonitor: startIpMonitor,
      clock: systemClock,
      netnsFolder: NETNS_FOLDER,
      ...options,
    };
  }

  /** Starts with the devices of the daemon's own namespace; what is there already is no event. Throws a DeviceError. */
  async start(namespaces: Iterable<string> = []): Promise<void> {
    for (const netns of namespaces) this.#watched.add(netns);
    this.#startMonitor();
    await this.#look([null, ...this.#watched], true);
    this.#watchFolder();
    this.#poll();
  }

  /** Namespaces to watch from now on, besides the daemon's own. One that is not there is reported when it appears. */
  async setNamespaces(namespaces: Iterable<string>): Promise<void> {
    const wanted = new Set(namespaces);
    for (const netns of this.#watched) {
      if (wanted.has(netns)) continue;
      this.#watched.delete(netns);
      this.#state.forget(netns);
    }
    const added = [...wanted].filter((netns) => !this.#watched.has(netns));
    for (const netns of added) this.#watched.add(netns);
    await this.#look(added, true);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelPoll();
    this.#cancelRestart();
    this.#cancelSettle();
    this.#folder?.close();
    this.#monitor?.stop();
    await this.#looking.catch(() => undefined);
  }

  #emit(events: readonly LinkEvent[]): void {
    if (!this.#closed) for (const event of events) this.#options.onEvent(event);
  }

  #startMonitor(): void {
    this.#monitor = this.#options.startMonitor(
      (line) => this.#hear(line),
      (reason) => this.#monitorEnded(reason),
    );
    this.#cancelSettle = this.#options.clock.after(SETTLE_MS, () => this.#lookAgain());
  }

  /** A whole look whose failure is no news: the next restart of the monitor looks again. */
  #lookAgain(): void {
    void this.#look([null, ...this.#watched], false).catch(() => undefined);
  }

  #monitorEnded(reason: string): void {
    this.#monitor = null;
    this.#cancelSettle();
    if (this.#closed) return;
    this.#cancelRestart = this.#options.clock.after(this.#restartMs, () => {
      this.#startMonitor();
      this.#emit([{ type: 'monitor-restarted', time: this.#options.clock.now(), reason }]);
      this.#lookAgain();
    });
    this.#restartMs = Math.min(this.#restartMs * 2, RESTART_MAX_MS);
  }

  #hear(text: string): void {
    const line = parseMonitorLine(text);
    if (line === null || this.#closed) return;
    this.#restartMs = RESTART_MS;
    if (this.#pending !== null) this.#pending.push(line);
    else this.#take(line);
  }

  #take(line: LinkLine | NetnsLine): void {
    const time = this.#options.clock.now();
    if (line.type === 'netns') {
      const netns = this.#names.get(line.nsid);
      if (!line.gone || netns === undefined) return;
      this.#names.delete(line.nsid);
      if (this.#state.forget(netns)) this.#emit([{ type: 'netns-deleted', time, netns }]);
      return;
    }
    const netns = line.nsid === null ? null : this.#names.get(line.nsid);
    if (netns === undefined || (netns !== null && !this.#state.knows(netns))) return;
    this.#emit(line.gone ? this.#state.vanish(time, netns, line.index) : this.#state.see(time, netns, line));
  }

  /** Looks at namespaces as they are; `quiet`: what is found is no event. */
  #look(namespaces: readonly (string | null)[], quiet: boolean): Promise<void> {
    const look = this.#looking.then(() => (this.#closed ? undefined : this.#lookNow(namespaces, quiet)));
    this.#looking = look.catch(() => undefined);
    return look;
  }

  async #lookNow(namespaces: readonly (string | null)[], quiet: boolean): Promise<void> {
    this.#pending = [];
    try {
      const there = await this.#number(namespaces.filter((netns) => netns !== null));
      const visible = namespaces.filter((netns) => netns === null || there.has(netns));
      await inParallel(visible, NETNS_WIDTH, (netns) => this.#lookAt(netns, quiet));
    } finally {
      const lines = this.#pending;
      this.#pending = null;
      for (const line of lines) this.#take(line);
    }
  }

  async #lookAt(netns: string | null, quiet: boolean): Promise<void> {
    const { run, clock } = this.#options;
    try {
      const devices = await devicesIn(run, netns);
      if (netns !== null && !this.#watched.has(netns)) return;
      const events = this.#state.replace(clock.now(), netns, devices);
      if (!quiet) this.#emit(events);
    } catch (error) {
      if (netns === null || !(error instanceof DeviceError) || error.code !== 'no-such-netns') throw error;
    }
  }

  /** Gives namespaces numbers, so that the monitor hears them, and learns the numbers. Answers which are there. */
  async #number(namespaces: readonly string[]): Promise<Set<string>> {
    if (namespaces.length === 0) return new Set();
    const { run, netnsFolder } = this.#options;
    const named = new Set(netnsNames(netnsFolder));
    const there = namespaces.filter((netns) => named.has(netns));
    // One that has a number, or is not mounted yet, fails; what counts is the list that follows.
    await ipBatch(
      run,
      null,
      there.map((netns) => `netns set ${netns} auto`),
    );
    const list = await ipJson<{ name: string; id?: number }>(run, null, ['netns', 'list'], 'listing namespaces');
    for (const { name, id } of list) if (id !== undefined) this.#names.set(id, name);
    const numbered = new Set(list.filter(({ id }) => id !== undefined).map(({ name }) => name));
    return new Set(there.filter((netns) => numbered.has(netns)));
  }

  /** Polling finds new names too, only later: without the folder, without permission, out of watches. */
  #watchFolder(): void {
    if (this.#folder !== null || !existsSync(this.#options.netnsFolder)) return;
    try {
      this.#folder = watch(this.#options.netnsFolder, { persistent: false }, () => this.#findAppeared());
      this.#folder.on('error', () => this.#folder?.close());
    } catch {
      this.#folder = null;
    }
  }

  #poll(): void {
    this.#cancelPoll = this.#options.clock.after(POLL_MS, () => {
      this.#watchFolder();
      this.#findAppeared();
      this.#poll();
    });
  }

  /** Looks for watched namespaces that were not there and now are. */
  #findAppeared(): void {
    const missing = [...this.#watched].filter((netns) => !this.#state.knows(netns));
    if (missing.length === 0 || this.#closed || this.#seeking) return;
    const named = new Set(netnsNames(this.#options.netnsFolder));
    const candidates = missing.filter((netns) => named.has(netns));
    if (candidates.length === 0) return;
    this.#seeking = true;
    void this.#look(candidates, true)
      .then(() => {
        const time = this.#options.clock.now();
        const appeared = candidates.filter((netns) => this.#state.knows(netns) && this.#watched.has(netns));
        this.#emit(appeared.map((netns) => ({ type: 'netns-appeared', time, netns })));
      })
      .catch(() => undefined)
      .finally(() => {
        this.#seeking = false;
      });
  }
}

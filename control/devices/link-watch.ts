/**
 * Reports what happens to devices and namespaces while the switch runs. Made by the running switch on the main thread.
 *
 * One monitor hears every namespace that has an nsid here; a monitor in each would keep a deleted namespace and its devices alive. The
 * kernel reports a namespace's end; that one (again) has a name is seen in /run/netns. A monitor that lost something is started again,
 * and what it missed is found by looking.
 */
import { existsSync, type FSWatcher, watch } from 'node:fs';
import { DeviceError } from '../errors.ts';
import { inParallel, ipBatch, ipJson, type RunIp, runIp } from './ip.ts';
import { type Monitor, type Notice, type StartMonitor, startLinkMonitor } from './link-monitor.ts';
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

export interface LinkWatchOptions {
  readonly onEvent: (event: LinkEvent) => void;
  readonly run?: RunIp;
  readonly startMonitor?: StartMonitor;
  readonly clock?: WatchClock;
  readonly netnsFolder?: string;
}

/** Out of descriptors it can't be started again at once. */
const RESTART_MS = 500;
/** Between whole looks: links that change faster than they can be told must not keep the host busy with looking. */
const REST_MS = 500;
/** A name in /run/netns is there shortly before the namespace is mounted on it. */
const POLL_MS = 1000;

/** A look that is under way. */
interface Look {
  /** Of namespaces that it has not seen yet: taken after it has, so that the newest sight wins. */
  pending: Notice[];
  /** Links of each namespace that were heard of meanwhile: what the look sees of them may be older. */
  readonly newer: Map<string | null, Set<number>>;
}

export class LinkWatch {
  readonly #options: Required<LinkWatchOptions>;
  readonly #state = new LinkState();
  readonly #watched = new Set<string>();
  readonly #names = new Map<number, string>();
  #monitor: Monitor | null = null;
  #folder: FSWatcher | null = null;
  #cancelPoll = (): void => {};
  #cancelRestart = (): void => {};
  #cancelRest = (): void => {};
  #seeking = false;
  /** Looks run one after the other. */
  #looking: Promise<void> = Promise.resolve();
  #look: Look | null = null;
  /** Whether a whole look was not long ago, and whether another is wanted since. */
  #resting = false;
  #wanted = false;
  #closed = false;

  constructor(options: LinkWatchOptions) {
    this.#options = {
      run: runIp,
      startMonitor: startLinkMonitor,
      clock: systemClock,
      netnsFolder: NETNS_FOLDER,
      ...options,
    };
  }

  /** Starts with the devices of the daemon's own namespace; what is there already is no event. Throws a DeviceError. */
  async start(namespaces: Iterable<string> = []): Promise<void> {
    for (const netns of namespaces) this.#watched.add(netns);
    this.#startMonitor();
    await this.#lookAt([null, ...this.#watched], true);
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
    await this.#lookAt(added, true);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelPoll();
    this.#cancelRestart();
    this.#cancelRest();
    this.#folder?.close();
    this.#monitor?.stop();
    await this.#looking.catch(() => undefined);
  }

  #emit(events: readonly LinkEvent[]): void {
    if (!this.#closed) for (const event of events) this.#options.onEvent(event);
  }

  #startMonitor(): void {
    this.#monitor = this.#options.startMonitor(
      (notice) => this.#hear(notice),
      (reason) => this.#restart(reason),
    );
  }

  #restart(reason: string): void {
    this.#monitor = null;
    if (this.#closed) return;
    try {
      this.#startMonitor();
    } catch {
      this.#cancelRestart = this.#options.clock.after(RESTART_MS, () => this.#restart(reason));
      return;
    }
    this.#emit([{ type: 'monitor-restarted', time: this.#options.clock.now(), reason }]);
    this.#lookAgain();
  }

  /** A whole look; one that fails is tried again. */
  #lookAgain(): void {
    this.#wanted = true;
    if (this.#resting || this.#closed) return;
    this.#resting = true;
    this.#wanted = false;
    const rest = (): void => {
      if (this.#closed) return;
      this.#cancelRest = this.#options.clock.after(REST_MS, () => {
        this.#resting = false;
        if (this.#wanted) this.#lookAgain();
      });
    };
    void this.#lookAt([null, ...this.#watched], false)
      .catch(() => {
        this.#wanted = true;
      })
      .then(rest);
  }

  /** What is known is told at once, also while a look is under way. */
  #hear(notice: Notice): void {
    if (this.#closed) return;
    if (this.#look !== null && !this.#isNews(notice, this.#look)) this.#look.pending.push(notice);
    else this.#take(notice);
  }

  /** Whether a notice needn't wait for the look; then the look is told that it has something older. */
  #isNews(notice: Notice, look: Look): boolean {
    if (notice.type !== 'link') return false;
    const netns = this.#netnsOf(notice.nsid);
    if (netns === undefined || !this.#state.knows(netns)) return false;
    const newer = look.newer.get(netns);
    if (newer === undefined) look.newer.set(netns, new Set([notice.index]));
    else newer.add(notice.index);
    return true;
  }

  /** undefined: a namespace that nobody asked for. */
  #netnsOf(nsid: number | null): string | null | undefined {
    return nsid === null ? null : this.#names.get(nsid);
  }

  #take(notice: Notice): void {
    const time = this.#options.clock.now();
    const netns = this.#netnsOf(notice.nsid);
    if (netns === undefined) return;
    if (notice.type === 'link') {
      if (netns !== null && !this.#state.knows(netns)) return;
      const { index } = notice;
      this.#emit(notice.gone ? this.#state.vanish(time, netns, index) : this.#state.see(time, netns, notice));
    } else if (notice.gone && netns !== null) {
      this.#names.delete(notice.nsid);
      if (this.#state.forget(netns)) this.#emit([{ type: 'netns-deleted', time, netns }]);
    }
  }

  /** Takes what waited, or as much of it as is known by now. */
  #takePending(look: Look): void {
    for (const notice of look.pending.splice(0)) this.#hear(notice);
  }

  /** Looks at namespaces as they are; `quiet`: what is found is no event. */
  #lookAt(namespaces: readonly (string | null)[], quiet: boolean): Promise<void> {
    const look = this.#looking.then(() => (this.#closed ? undefined : this.#lookNow(namespaces, quiet)));
    this.#looking = look.catch(() => undefined);
    return look;
  }

  async #lookNow(namespaces: readonly (string | null)[], quiet: boolean): Promise<void> {
    const look: Look = { pending: [], newer: new Map() };
    this.#look = look;
    try {
      const there = await this.#number(namespaces.filter((netns) => netns !== null));
      const visible = namespaces.filter((netns) => netns === null || there.has(netns));
      await inParallel(visible, NETNS_WIDTH, (netns) => this.#lookIn(netns, quiet, look));
    } finally {
      this.#look = null;
      this.#takePending(look);
    }
  }

  async #lookIn(netns: string | null, quiet: boolean, look: Look): Promise<void> {
    const { run, clock } = this.#options;
    try {
      const devices = await devicesIn(run, netns);
      if (netns !== null && !this.#watched.has(netns)) return;
      const events = this.#state.replace(clock.now(), netns, devices, look.newer.get(netns) ?? new Set());
      if (!quiet) this.#emit(events);
      this.#takePending(look);
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
    void this.#lookAt(candidates, true)
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

/**
 * Names and numbers of the interfaces in the daemon's own namespace, for those that know one and need the other. Kept by link events, and by a
 * look where these say nothing: what was there before the watch began is no event. Made by open.ts; main thread.
 */
import { ipJson, type RunIp, runIp } from '../devices/ip.ts';
import type { LinkEvents } from '../devices/link-events.ts';
import type { LinkEvent } from '../devices/link-state.ts';

/** What somebody asks for in vain is looked for again, but not without end. */
const LOOK_MS = 1000;

export class Interfaces {
  readonly #names = new Map<number, string>();
  readonly #run: RunIp;
  #looking: Promise<void> | null = null;
  #lookedAt = Number.NEGATIVE_INFINITY;
  /** Hears that names are known which were asked for before. */
  onFound: () => void = () => {};

  constructor(links: LinkEvents, run: RunIp = runIp) {
    this.#run = run;
    links.listen((event) => this.#hear(event));
  }

  /** null: not known now; `onFound` tells when it is. */
  nameOf(index: number): string | null {
    const name = this.#names.get(index) ?? null;
    if (name === null && index > 0) void this.#look();
    return name;
  }

  /** 0: there is none of that name. */
  async indexOf(name: string): Promise<number> {
    const known = this.find(name);
    if (known !== 0) return known;
    await this.#look(true);
    return this.find(name);
  }

  /** 0: none of that name is known, after somebody asked for it. */
  find(name: string): number {
    for (const [index, known] of this.#names) if (known === name) return index;
    return 0;
  }

  #look(now = false): Promise<void> {
    if (this.#looking !== null) return this.#looking;
    if (!now && performance.now() - this.#lookedAt < LOOK_MS) return Promise.resolve();
    this.#looking = this.#lookNow().finally(() => {
      this.#lookedAt = performance.now();
      this.#looking = null;
    });
    return this.#looking;
  }

  async #lookNow(): Promise<void> {
    const rows = await ipJson<{ ifindex: number; ifname: string }>(this.#run, null, ['link', 'show'], 'links').catch(
      () => null,
    );
    if (rows === null) return;
    this.#names.clear();
    for (const { ifindex, ifname } of rows) this.#names.set(ifindex, ifname);
    this.onFound();
  }

  #hear(event: LinkEvent): void {
    if (event.type === 'monitor-restarted' && this.#names.size > 0) void this.#look(true);
    if (event.type === 'monitor-restarted' || event.type === 'netns-deleted' || event.type === 'netns-appeared') return;
    if (event.netns !== null) return;
    if (event.type === 'device-vanished') this.#names.delete(event.index);
    else this.#names.set(event.index, event.type === 'device-renamed' ? event.to : event.device);
  }
}

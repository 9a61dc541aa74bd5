// What a bench wants from a switch: say whether it can run here, join two namespaces, go away. One file per switch implements it.
import type { Site } from '../system/site.ts';

/** How a worker waits; only Weft has a choice, the others do what they do. */
export type Idle = 'adaptive' | 'busy' | 'interrupt';

export interface StartOptions {
  readonly idle?: Idle;
}

export interface Attached {
  /** The device in the first and in the second namespace of the site, not yet up and without an address. */
  readonly devices: readonly [string, string];
  /** The switch's process, or null where the kernel does the work. */
  readonly pid: number | null;
  /** Ends the switch before the site goes. Calling it is optional: the site's cleanup does it too. */
  stop(): Promise<void>;
}

export interface Peer {
  readonly name: string;
  /** One sentence for --help and the report. */
  readonly about: string;
  /** Why this switch can't be measured here, or null when it can. */
  available(): Promise<string | null>;
  /** Starts the switch in `site`; registers whatever it makes with `site.cleanup` as soon as it exists. */
  start(site: Site, options?: StartOptions): Promise<Attached>;
}

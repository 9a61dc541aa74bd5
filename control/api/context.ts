/**
 * What every route gets: the switch, and where to note what happens. Made by server.ts, one for each daemon.
 */
import type { OpenEcho } from '../doctor/echo.ts';
import type { Log } from '../log.ts';
import type { Switch } from '../switch.ts';

export interface AppContext {
  readonly switch: Switch;
  readonly version: string;
  readonly log: Log;
  /** Loads what the doctor asks paths with. */
  readonly loadEcho: () => Promise<OpenEcho>;
  /** Open streams; each is ended by calling it. */
  readonly streams: Set<() => void>;
}

/**
 * Opens netdev ports: interfaces that somebody else made. Made once by open.ts, used by the workshop; main thread.
 */
import type { Addon } from '../../../native/binding.ts';
import type { Log } from '../../log.ts';
import type { NetdevModel, PortModel } from '../../model/model.ts';
import { type RunIp, runIp } from '../ip.ts';
import type { LinkEvents } from '../link-events.ts';
import type { PortDevice, PortHost, PortOpener } from '../port-device.ts';
import { Interfaces } from './interfaces.ts';
import { NetdevDevice, type NetdevParts } from './netdev-device.ts';
import { TakeOver } from './take-over.ts';

export interface NetdevOptions {
  readonly native: Pick<Addon, 'openNetdev' | 'netdevStatistics' | 'closeDevice'>;
  readonly links: LinkEvents;
  readonly log: Log;
  readonly run?: RunIp;
  /** Where it is remembered what was taken over. */
  readonly folder?: string;
}

export interface NetdevOpener extends PortOpener {
  /** Gives back what runs that were killed took over: before anything else is done to devices. */
  giveBackLeftovers(): Promise<void>;
}

export function netdevOpener(options: NetdevOptions): NetdevOpener {
  const { native, links, log, run = runIp, folder } = options;
  const interfaces = new Interfaces(run);
  const takeOver = new TakeOver({ run, interfaces, log, ...(folder === undefined ? {} : { folder }) });
  const parts: NetdevParts = { native, links, interfaces, takeOver, log, open: new Set() };
  return {
    async open(model: PortModel, host: PortHost): Promise<PortDevice> {
      const device = new NetdevDevice(parts, model as NetdevModel, host);
      await device.open();
      return device;
    },
    giveBackLeftovers: () => takeOver.giveBackAll(),
  };
}

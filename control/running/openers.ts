/**
 * What opens ports of each kind that is no TAP. Made by open.ts on the main thread. A kind's code is loaded with its first port: a switch
 * of TAPs does not wait for what guests need.
 */
import type { Addon } from '../../native/binding.ts';
import type { PortOpener } from '../devices/port-device.ts';
import type { Foundation } from './foundation.ts';

/** Tells a bridge where an address is now. */
export type Announce = (bridge: string, port: string, mac: string) => void;

function lazily(load: () => Promise<PortOpener>): PortOpener {
  let loaded: Promise<PortOpener> | null = null;
  return {
    async open(model, host) {
      loaded ??= load();
      return (await loaded).open(model, host);
    },
  };
}

export function makeOpeners(native: Addon, announce: Announce): Foundation['openers'] {
  return {
    'vhost-user': lazily(async () => {
      const { VhostUserOpener } = await import('../devices/guest/opener.ts');
      return new VhostUserOpener({ native, announce }) as PortOpener;
    }),
    socket: lazily(async () => {
      const { socketOpener } = await import('../devices/socket/opener.ts');
      return socketOpener(native) as PortOpener;
    }),
  };
}

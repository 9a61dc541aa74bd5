/**
 * Opens `socket` ports: QEMU's `-netdev stream` and `-netdev dgram` over unix sockets, for guests without root. Made once by the daemon,
 * called by the executor, on the main thread. That nobody is at the other end is no error.
 */
import type { SocketModel } from '../../model/model.ts';
import { Dialer } from '../guest/dialer.ts';
import { Listener } from '../guest/listener.ts';
import { systemClock, type WatchClock } from '../link-watch.ts';
import type { PortDevice, PortHost, PortOpener } from '../port-device.ts';
import { DgramPort } from './dgram-port.ts';
import type { PortNative } from './socket-native.ts';
import { StreamPort } from './stream-port.ts';

export function socketOpener(native: PortNative, clock: WatchClock = systemClock): PortOpener<SocketModel> {
  let opened = 0;
  return {
    async open(model: SocketModel, host: PortHost): Promise<PortDevice> {
      // One worker reads a socket; ports take turns, so that many of them are spread over all workers.
      const receiver = opened++ % host.workers;
      if (model.type === 'dgram') return new DgramPort(native, model, host, clock, receiver);
      const port = new StreamPort(native, model, host, clock, receiver);
      const { socket, mode } = model;
      const subject = `${host.bridge}/${host.port}`;
      if (mode === 'client') port.use(new Dialer(native, socket, clock, port.onClient));
      else port.use(await Listener.open(native, subject, model, port.onClient, clock));
      return port;
    },
  };
}

/**
 * What control/devices has to know of a tap port: everything of it that shows in the kernel. Made from the model by the
 * running switch; plain data.
 */
import type { TapModel } from '../model/model.ts';

export interface TapSpec {
  readonly bridge: string;
  readonly port: string;
  readonly device: string;
  readonly netns: string | null;
  readonly mac: string;
  readonly mtu: number;
  readonly addresses: readonly string[];
  readonly gateways: readonly string[];
}

export function tapSpec(bridge: string, port: TapModel): TapSpec {
  const { name, device, netns, mac, mtu, addresses, gateways } = port;
  return { bridge, port: name, device, netns, mac, mtu, addresses, gateways };
}

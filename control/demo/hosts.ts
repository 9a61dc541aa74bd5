/**
 * The four hosts of the demo: two tenants, all in one subnet, so that nothing but the VLAN keeps them apart. Pure data, and the document
 * that joins them. Used with devices and with memory ports alike.
 */
import type { Document } from '../config/document.ts';

export type HostName = 'red1' | 'red2' | 'blue1' | 'blue2';

export interface Host {
  readonly name: HostName;
  readonly tenant: 'red' | 'blue';
  readonly vlan: number;
  readonly address: string;
  readonly mac: string;
}

export const BRIDGE = 'br0';
export const DEVICE = 'eth0';
export const RED_VLAN = 10;
export const BLUE_VLAN = 20;
const PREFIX = 24;

export const HOSTS: Readonly<Record<HostName, Host>> = {
  red1: { name: 'red1', tenant: 'red', vlan: RED_VLAN, address: '10.1.0.1', mac: '02:57:0a:01:00:01' },
  red2: { name: 'red2', tenant: 'red', vlan: RED_VLAN, address: '10.1.0.2', mac: '02:57:0a:01:00:02' },
  blue1: { name: 'blue1', tenant: 'blue', vlan: BLUE_VLAN, address: '10.1.0.3', mac: '02:57:0a:01:00:03' },
  blue2: { name: 'blue2', tenant: 'blue', vlan: BLUE_VLAN, address: '10.1.0.4', mac: '02:57:0a:01:00:04' },
};

export const HOST_LIST: readonly Host[] = Object.values(HOSTS);

/** The switch that the demo runs: an access port for each host, metrics on any free port of the loopback. */
export function demoDocument(namespaceOf: (host: Host) => string): Document {
  return {
    metrics: { listen: '127.0.0.1:0' },
    bridges: [
      {
        name: BRIDGE,
        ports: HOST_LIST.map((host) => ({
          name: host.name,
          kind: 'tap' as const,
          device: DEVICE,
          netns: namespaceOf(host),
          address: `${host.address}/${PREFIX}`,
          mac: host.mac,
          vlan: { mode: 'access' as const, tag: host.vlan },
        })),
      },
    ],
  };
}

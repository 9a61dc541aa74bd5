// Open vSwitch's userspace datapath (datapath_type=netdev) on TAPs or veths, with a database of its own in the site's folder and in a namespace of its
// own, so that a running Open vSwitch is not touched. The TSO variant needs the daemon that was built with DPDK; DPDK itself isn't started.
import { Daemon, missingCommand, run } from '../system/process.ts';
import { addNamespace, type Site } from '../system/site.ts';
import { DPDK_DAEMON, startDatabase, type Vsctl } from './ovs-database.ts';
import type { Peer } from './peer.ts';
import { vethWires } from './veth-wires.ts';

const PLAIN_DAEMON = 'ovs-vswitchd';

export const ovsUserspace: Peer = ovsPeer('ovs-userspace', false, onTaps);
export const ovsUserspaceTso: Peer = ovsPeer('ovs-userspace-tso', true, onTaps);
export const ovsUserspaceVeth: Peer = ovsPeer('ovs-userspace-veth', false, onVeths);
export const ovsUserspaceTsoVeth: Peer = ovsPeer('ovs-userspace-tso-veth', true, onVeths);

/** Adds the bridge's two ports, in the namespace of the daemon; answers the hosts' devices. */
type AddPorts = (site: Site, space: string, vsctl: Vsctl, tso: boolean) => Promise<readonly [string, string]>;

async function onTaps(site: Site, space: string, vsctl: Vsctl): Promise<readonly [string, string]> {
  const devices = [`${site.prefix}a`, `${site.prefix}b`] as const;
  for (const index of [0, 1] as const) {
    await vsctl('add-port', bridgeOf(site), devices[index], '--', 'set', 'interface', devices[index], 'type=tap');
    await run(['ip', '-n', space, 'link', 'set', devices[index], 'netns', site.namespaces[index]]);
  }
  return devices;
}

/** Packet sockets. Without TSO it hands unfinished checksums on as they are, so the hosts must finish them, as its manual says. */
async function onVeths(site: Site, space: string, vsctl: Vsctl, tso: boolean): Promise<readonly [string, string]> {
  const { devices, near } = await vethWires(site, space);
  for (const index of [0, 1] as const) {
    if (!tso) await run(['ethtool', '-K', devices[index], 'tx', 'off'], { namespace: site.namespaces[index] });
    await vsctl('add-port', bridgeOf(site), near[index]);
  }
  return devices;
}

function bridgeOf(site: Site): string {
  return `${site.prefix}br`;
}

function ovsPeer(name: string, tso: boolean, addPorts: AddPorts): Peer {
  const daemon = tso ? DPDK_DAEMON : PLAIN_DAEMON;
  const needed = tso ? 'openvswitch-switch and openvswitch-switch-dpdk' : 'openvswitch-switch';
  return {
    name,
    about: `Open vSwitch's userspace datapath on ${addPorts === onTaps ? 'TAPs' : 'veths'}${tso ? ', with userspace-tso-enable' : ''}`,
    available: async () =>
      missingCommand([daemon, 'ovs-vsctl', 'ovsdb-tool', 'ovsdb-server', 'ethtool'], `${needed}, ethtool`),
    start: async (site) => {
      const space = await addNamespace(`${site.prefix}-s`, site.cleanup);
      const { vsctl, database, env } = await startDatabase(site);
      if (tso) await vsctl('--no-wait', 'set', 'Open_vSwitch', '.', 'other_config:userspace-tso-enable=true');
      const vswitchd = new Daemon([daemon, database], site.cleanup, {
        namespace: space,
        cpus: site.switchCpus,
        env,
      });
      const bridge = bridgeOf(site);
      await vsctl('add-br', bridge, '--', 'set', 'bridge', bridge, 'datapath_type=netdev');
      const devices = await addPorts(site, space, vsctl, tso);
      if (!vswitchd.running) throw new Error(`${daemon} ended: ${vswitchd.output.slice(-400)}`);
      return { devices, pid: vswitchd.pid, stop: () => vswitchd.stop() };
    },
  };
}

// Open vSwitch's userspace datapath on a machine: a bridge with the container's TAP and a vxlan port, and, since the tunnel's packets leave by
// this datapath too, a second bridge that has the underlay's device as a port and its address on itself.
import { Daemon, missingCommand, run } from '../system/process.ts';
import type { Machine } from './machines.ts';
import { UNDERLAY_MTU } from './machines.ts';
import { DPDK_DAEMON, startDatabase, type Vsctl } from './ovs-database.ts';
import type { Peer } from './peer.ts';
import { type Half, VNI, vxlanPeer } from './vxlan.ts';

const PLAIN_DAEMON = 'ovs-vswitchd';
/** The bridge of the underlay. */
const UNDER = 'under';

export const ovsVxlan = ovsPeer('ovs-vxlan', false);
export const ovsVxlanTso = ovsPeer('ovs-vxlan-tso', true);

function ovsPeer(name: string, tso: boolean): Peer {
  const about = `Open vSwitch's userspace datapath on two machines: a TAP and a vxlan port${tso ? ', with userspace-tso-enable' : ''}`;
  return vxlanPeer(name, about, ovsHalf(tso));
}

function ovsHalf(tso: boolean): Half {
  const daemon = tso ? DPDK_DAEMON : PLAIN_DAEMON;
  const needed = tso ? 'openvswitch-switch and openvswitch-switch-dpdk' : 'openvswitch-switch';
  return {
    available: async () => missingCommand([daemon, 'ovs-vsctl', 'ovsdb-tool', 'ovsdb-server', 'ethtool'], needed),
    start: async (machine) => {
      const { vsctl, database, env } = await startDatabase(machine);
      if (tso) await vsctl('--no-wait', 'set', 'Open_vSwitch', '.', 'other_config:userspace-tso-enable=true');
      const where = { namespace: machine.space, cpus: machine.switchCpus, env };
      const vswitchd = new Daemon([daemon, database], machine.cleanup, where);
      await bridgeUnderlay(machine, vsctl);
      await bridgeContainer(machine, vsctl);
      // Its tunnels take no frame that is unfinished: with this setting too, the container has to finish them.
      if (tso) await run(['ethtool', '-K', machine.device, 'tx', 'off'], { namespace: machine.container });
      const wrong = (await vsctl('--bare', '--columns=error', 'list', 'interface')).trim();
      if (wrong !== '') throw new Error(`Open vSwitch: ${wrong.slice(0, 400)}`);
      if (!vswitchd.running) throw new Error(`${daemon} ended: ${vswitchd.output.slice(-400)}`);
      return { pid: vswitchd.pid, stop: () => vswitchd.stop() };
    },
  };
}

async function bridgeUnderlay(machine: Machine, vsctl: Vsctl): Promise<void> {
  const { space, underlay, address } = machine;
  await vsctl('add-br', UNDER, '--', 'set', 'bridge', UNDER, 'datapath_type=netdev');
  await vsctl('set', 'interface', UNDER, `mtu_request=${UNDERLAY_MTU}`);
  await vsctl('add-port', UNDER, underlay);
  await run(['ip', '-n', space, 'addr', 'flush', 'dev', underlay]);
  await run(['ip', '-n', space, 'addr', 'add', `${address}/24`, 'dev', UNDER]);
  await run(['ip', '-n', space, 'link', 'set', UNDER, 'up']);
}

async function bridgeContainer(machine: Machine, vsctl: Vsctl): Promise<void> {
  const { space, device, container } = machine;
  await vsctl('add-br', 'br0', '--', 'set', 'bridge', 'br0', 'datapath_type=netdev');
  await vsctl('add-port', 'br0', device, '--', 'set', 'interface', device, 'type=tap');
  await run(['ip', '-n', space, 'link', 'set', device, 'netns', container]);
  const ends = [`options:local_ip=${machine.address}`, `options:remote_ip=${machine.other}`, `options:key=${VNI}`];
  await vsctl('add-port', 'br0', 'vx', '--', 'set', 'interface', 'vx', 'type=vxlan', ...ends);
}

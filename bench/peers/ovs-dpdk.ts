// Open vSwitch with DPDK: one PMD thread on CPU 1, its other threads on CPU 0, and dpdkvhostuserclient ports on a bridge that learns
// (action NORMAL). Database, paths and network namespace are its own, so that a running Open vSwitch is not touched.
import { Daemon, missingCommand } from '../system/process.ts';
import { addNamespace } from '../system/site.ts';
import { type GuestSwitch, mtuFor, SWITCH_CPU } from './guest-switch.ts';
import { DPDK_DAEMON, startDatabase } from './ovs-database.ts';

const MEMORY_MB = 512;

export const ovsDpdk: GuestSwitch = {
  name: 'ovs-dpdk',
  about: 'Open vSwitch with DPDK: one PMD thread, dpdkvhostuserclient ports',
  hugePages: MEMORY_MB / 2,
  frameBytesMax: 9000,
  available: async () =>
    missingCommand([DPDK_DAEMON, 'ovs-vsctl', 'ovsdb-tool', 'ovsdb-server'], 'openvswitch-switch-dpdk'),
  join: async (place, sockets, frameBytes) => {
    const namespace = await addNamespace(`${place.prefix}-s`, place.cleanup);
    const { database, env, vsctl } = await startDatabase(place);
    const settings = {
      'dpdk-init': 'true',
      'dpdk-extra': '--in-memory --no-pci --no-telemetry',
      'dpdk-socket-mem': String(MEMORY_MB),
      'dpdk-lcore-mask': '0x1',
      'pmd-cpu-mask': `0x${(1 << SWITCH_CPU).toString(16)}`,
    };
    const pairs = Object.entries(settings).map(([key, value]) => `other_config:${key}="${value}"`);
    await vsctl('--no-wait', 'set', 'Open_vSwitch', '.', ...pairs);
    const vswitchd = new Daemon([DPDK_DAEMON, database], place.cleanup, { namespace, env });
    const bridge = `${place.prefix}br`;
    await vsctl('add-br', bridge, '--', 'set', 'bridge', bridge, 'datapath_type=netdev');
    for (const [index, socket] of sockets.entries()) {
      const port = `${place.prefix}v${index}`;
      const options = ['type=dpdkvhostuserclient', `options:vhost-server-path=${socket}`];
      // With its default of 1,500 it leaves room for a tag, whether there is one or not.
      if (frameBytes > 1518) options.push(`mtu_request=${mtuFor(frameBytes)}`);
      await vsctl('add-port', bridge, port, '--', 'set', 'interface', port, ...options);
    }
    const wrong = (await vsctl('--bare', '--columns=error', 'list', 'interface')).trim();
    if (wrong !== '') throw new Error(`Open vSwitch: ${wrong.slice(0, 400)}`);
    if (!vswitchd.running) throw new Error(`${DPDK_DAEMON} ended: ${vswitchd.output.slice(-400)}`);
    return { pid: vswitchd.pid, stop: () => vswitchd.stop() };
  },
};

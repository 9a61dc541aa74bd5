// Open vSwitch's userspace datapath (datapath_type=netdev) on TAPs, with a database of its own in the site's folder and in a namespace of its
// own, so that a running Open vSwitch is not touched. The TSO variant needs the daemon that was built with DPDK; DPDK itself isn't started.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Daemon, missingCommand, run } from '../system/process.ts';
import { addNamespace, type Site } from '../system/site.ts';
import type { Peer } from './peer.ts';

const PLAIN_DAEMON = 'ovs-vswitchd';
const DPDK_DAEMON = '/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk';
const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';

export const ovsUserspace: Peer = ovsPeer('ovs-userspace', false);
export const ovsUserspaceTso: Peer = ovsPeer('ovs-userspace-tso', true);

function ovsPeer(name: string, tso: boolean): Peer {
  const daemon = tso ? DPDK_DAEMON : PLAIN_DAEMON;
  const needed = tso ? 'openvswitch-switch and openvswitch-switch-dpdk' : 'openvswitch-switch';
  return {
    name,
    about: `Open vSwitch's userspace datapath on TAPs${tso ? ', with userspace-tso-enable' : ''}`,
    available: async () => missingCommand([daemon, 'ovs-vsctl', 'ovsdb-tool', 'ovsdb-server'], needed),
    start: async (site) => {
      const space = await addNamespace(`${site.prefix}-s`, site.cleanup);
      const vsctl = await startDatabase(site);
      if (tso) await vsctl('--no-wait', 'set', 'Open_vSwitch', '.', 'other_config:userspace-tso-enable=true');
      const database = `unix:${join(site.folder, 'db.sock')}`;
      const vswitchd = new Daemon([daemon, database], site.cleanup, {
        namespace: space,
        cpus: site.switchCpus,
        env: ovsEnvironment(site),
      });
      const bridge = `${site.prefix}br`;
      await vsctl('add-br', bridge, '--', 'set', 'bridge', bridge, 'datapath_type=netdev');
      const devices = [`${site.prefix}a`, `${site.prefix}b`] as const;
      for (const index of [0, 1] as const) {
        await vsctl('add-port', bridge, devices[index], '--', 'set', 'interface', devices[index], 'type=tap');
        await run(['ip', '-n', space, 'link', 'set', devices[index], 'netns', site.namespaces[index]]);
      }
      if (!vswitchd.running) throw new Error(`${daemon} ended: ${vswitchd.output.slice(-400)}`);
      return { devices, pid: vswitchd.pid, stop: () => vswitchd.stop() };
    },
  };
}

function ovsEnvironment(site: Site): NodeJS.ProcessEnv {
  const { folder } = site;
  return { OVS_RUNDIR: folder, OVS_DBDIR: folder, OVS_LOGDIR: folder, OVS_SYSCONFDIR: folder };
}

/** Starts ovsdb-server and returns ovs-vsctl bound to it. */
async function startDatabase(site: Site): Promise<(...args: string[]) => Promise<string>> {
  const file = join(site.folder, 'conf.db');
  const socket = join(site.folder, 'db.sock');
  await run(['ovsdb-tool', 'create', file, SCHEMA]);
  const server = new Daemon(['ovsdb-server', `--remote=punix:${socket}`, file], site.cleanup, {
    env: ovsEnvironment(site),
  });
  const vsctl = (...args: string[]) => run(['ovs-vsctl', `--db=unix:${socket}`, '--timeout=20', ...args]);
  for (let tries = 0; !existsSync(socket) && tries < 500; tries++) await sleep(10);
  if (!server.running) throw new Error(`ovsdb-server ended: ${server.output.slice(-400)}`);
  await vsctl('--no-wait', 'init');
  return vsctl;
}

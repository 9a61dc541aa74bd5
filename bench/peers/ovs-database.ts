// An Open vSwitch database of a bench's own, in the workplace's folder: ovsdb-server, and ovs-vsctl bound to it. Both Open vSwitch peers
// start from it; a running Open vSwitch is never touched, since every path that its programs use lies in that folder.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Daemon, run } from '../system/process.ts';
import type { Workplace } from '../system/site.ts';

/** The daemon that was built with DPDK, as Debian's openvswitch-switch-dpdk installs it. */
export const DPDK_DAEMON = '/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk';
const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';

/** ovs-vsctl with these arguments; answers what it prints. */
export type Vsctl = (...args: string[]) => Promise<string>;

export interface OvsDatabase {
  /** Where the daemon finds it, as its argument. */
  readonly database: string;
  /** For the daemon, so that pid file, log and control socket lie in the folder too. */
  readonly env: NodeJS.ProcessEnv;
  readonly vsctl: Vsctl;
  /** Of its server. */
  readonly pid: number;
}

/** Makes the database and starts its server; the cleanup ends it. */
export async function startDatabase(place: Workplace): Promise<OvsDatabase> {
  const { folder, cleanup } = place;
  const env = { OVS_RUNDIR: folder, OVS_DBDIR: folder, OVS_LOGDIR: folder, OVS_SYSCONFDIR: folder };
  const file = join(folder, 'conf.db');
  const socket = join(folder, 'db.sock');
  await run(['ovsdb-tool', 'create', file, SCHEMA]);
  const server = new Daemon(['ovsdb-server', `--remote=punix:${socket}`, file], cleanup, { env });
  const vsctl: Vsctl = (...args) => run(['ovs-vsctl', `--db=unix:${socket}`, '--timeout=20', ...args]);
  for (let tries = 0; !existsSync(socket) && tries < 500; tries++) await sleep(10);
  if (!server.running) throw new Error(`ovsdb-server ended: ${server.output.slice(-400)}`);
  await whenListening(() => vsctl('--no-wait', 'init'));
  return { database: `unix:${socket}`, env, vsctl, pid: server.pid };
}

/** The socket is there a moment before anybody listens at it, and ovs-vsctl does not try again. */
async function whenListening(first: () => Promise<unknown>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await first();
      return;
    } catch (error) {
      if (tries === 5) throw error;
      await sleep(200);
    }
  }
}

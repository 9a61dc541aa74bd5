/**
 * Open vSwitch's userspace datapath as a partner: database, daemon and every path of its own, in a namespace of a lab. What it says of LACP
 * is read from its own commands. Ends with `close`, and in any case with the test process.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { type OvsDatabase, startDatabase } from '../../bench/peers/ovs-database.ts';
import { Cleanup } from '../../bench/system/cleanup.ts';
import { Daemon } from '../../bench/system/process.ts';
import type { Lab } from '../netns/lab.ts';

export const OVS_TOOLS = ['ovs-vsctl', 'ovs-appctl', 'ovs-vswitchd', 'ovsdb-tool', 'ovsdb-server'] as const;

const BRIDGE_MAC = '02:00:5e:00:53:b0';

/** One side of a link as `ovs-appctl lacp/show` prints it. */
export interface OvsLacpSide {
  readonly system: string;
  readonly systemPriority: number;
  readonly port: number;
  readonly portPriority: number;
  readonly key: number;
  readonly state: readonly string[];
}

export interface OvsLacpMember {
  readonly name: string;
  /** `current`, `expired` or `defaulted`. */
  readonly status: string;
  readonly attached: boolean;
  readonly enabled: boolean;
  readonly actor: OvsLacpSide;
  readonly partner: OvsLacpSide;
}

function side(text: string, who: 'actor' | 'partner'): OvsLacpSide {
  const value = (name: string) => new RegExp(`^\\s*${who} ${name}: *(.*)$`, 'm').exec(text)?.[1]?.trim() ?? '';
  return {
    system: value('sys_id'),
    systemPriority: Number(value('sys_priority')),
    port: Number(value('port_id')),
    portPriority: Number(value('port_priority')),
    key: Number(value('key')),
    state: value('state').split(' ').filter(Boolean),
  };
}

/** The members of one bond in the text of `lacp/show`. */
export function parseLacpShow(text: string): OvsLacpMember[] {
  return text
    .split(/^(?=member: )/m)
    .slice(1)
    .map((part) => {
      const [, name = '', status = '', attached = ''] = /^member: (\S+): (\S+) (\S+)/.exec(part) ?? [];
      const enabled = /may_enable: true/.test(part);
      return {
        ...{ name, status, attached: attached === 'attached', enabled },
        ...{ actor: side(part, 'actor'), partner: side(part, 'partner') },
      };
    });
}

export class OpenVSwitch {
  readonly #database: OvsDatabase;
  readonly #cleanup: Cleanup;
  readonly #daemon: Daemon;
  readonly #atExit = () => this.#killNow();

  private constructor(database: OvsDatabase, daemon: Daemon, cleanup: Cleanup) {
    this.#database = database;
    this.#daemon = daemon;
    this.#cleanup = cleanup;
    process.once('exit', this.#atExit);
  }

  /** Starts it in a namespace that the lab made, with an empty bridge br0 whose own interface is there. */
  static async start(lab: Lab, short: string): Promise<OpenVSwitch> {
    const cleanup = new Cleanup();
    const folder = join(lab.folder, `ovs-${short}`);
    mkdirSync(folder);
    const netns = lab.name(short);
    try {
      const place = { prefix: lab.prefix, folder, cleanup, switchCpus: undefined };
      const database = await startDatabase(place);
      const where = { namespace: netns, env: database.env };
      const daemon = new Daemon(['ovs-vswitchd', database.database], cleanup, where);
      const ovs = new OpenVSwitch(database, daemon, cleanup);
      // Without an address of its own it takes one of its ports', now this and now that.
      const settings = ['datapath_type=netdev', `other_config:hwaddr=${BRIDGE_MAC}`];
      await ovs.vsctl('add-br', 'br0', '--', 'set', 'bridge', 'br0', ...settings);
      await execa('ip', ['-n', netns, 'link', 'set', 'br0', 'up']);
      return ovs;
    } catch (error) {
      await cleanup.run();
      throw error;
    }
  }

  get pid(): number {
    return this.#daemon.pid;
  }

  vsctl(...args: string[]): Promise<string> {
    return this.#database.vsctl(...args);
  }

  async appctl(...args: string[]): Promise<string> {
    const target = join(this.#database.env.OVS_RUNDIR!, `ovs-vswitchd.${this.pid}.ctl`);
    return (await execa('ovs-appctl', ['-T', '5', '-t', target, ...args])).stdout;
  }

  /** A command about the flows of a bridge. */
  async ofctl(command: string, bridge: string, ...args: string[]): Promise<string> {
    const target = join(this.#database.env.OVS_RUNDIR!, `${bridge}.mgmt`);
    return (await execa('ovs-ofctl', ['-t', '5', command, target, ...args])).stdout;
  }

  async lacp(bond = 'bond0'): Promise<OvsLacpMember[]> {
    return parseLacpShow(await this.appctl('lacp/show', bond));
  }

  /** Makes the bond anew. `settings` are columns and keys of its Port. */
  async bond(devices: readonly string[], settings: readonly string[], name = 'bond0'): Promise<void> {
    await this.vsctl('--if-exists', 'del-port', name, '--', 'add-bond', 'br0', name, ...devices, ...settings);
  }

  setPort(name: string, ...settings: string[]): Promise<string> {
    return this.vsctl('set', 'port', name, ...settings);
  }

  setInterface(name: string, ...settings: string[]): Promise<string> {
    return this.vsctl('set', 'interface', name, ...settings);
  }

  /** Stands still from now on: links stay up, nothing is said. */
  freeze(): void {
    process.kill(this.pid, 'SIGSTOP');
  }

  thaw(): void {
    process.kill(this.pid, 'SIGCONT');
  }

  async close(): Promise<void> {
    process.off('exit', this.#atExit);
    if (this.#daemon.running) this.thaw();
    await this.#cleanup.run();
  }

  #killNow(): void {
    for (const pid of [this.pid, this.#database.pid]) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended.
      }
    }
  }
}

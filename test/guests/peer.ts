/**
 * Who sits behind a port, whatever its kind: a network namespace of this machine or one inside a guest, with one device `eth0`, spoken to by
 * the same busybox commands. So a guest with many cards is many hosts, and one test serves every pair of kinds.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { execa } from 'execa';
import type { Vm } from '../../control/demo/guests/vm.ts';

export const SECONDS = 30;
const PORT = 8080;

export interface Peer {
  readonly name: string;
  /** What a line of shell printed there; rejects when it fails. */
  run(command: string, seconds?: number): Promise<string>;
  /** Starts what goes on until the peer ends. */
  start(command: string): Promise<void>;
}

export interface Addresses {
  readonly ipv4: string;
  readonly ipv6: string;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** A namespace of this machine. `tools` is a folder of busybox's commands. */
export class HostPeer implements Peer {
  readonly name: string;
  readonly #netns: string;
  readonly #tools: string;
  readonly #started: ChildProcess[] = [];

  constructor(name: string, netns: string, tools: string) {
    this.name = name;
    this.#netns = netns;
    this.#tools = tools;
  }

  async run(command: string, seconds = SECONDS): Promise<string> {
    const args = this.#shell(command);
    return (await execa('ip', args, { timeout: seconds * 1000, stripFinalNewline: false })).stdout;
  }

  async start(command: string): Promise<void> {
    this.#started.push(spawn('ip', this.#shell(`exec ${command}`), { stdio: 'ignore' }));
  }

  close(): void {
    for (const child of this.#started) child.kill('SIGKILL');
  }

  #shell(command: string): string[] {
    return ['netns', 'exec', this.#netns, `${this.#tools}/sh`, '-c', `PATH=${this.#tools}; ${command}`];
  }
}

/** A namespace in a guest, which holds one of its cards. */
export class GuestPeer implements Peer {
  readonly name: string;
  readonly #vm: Vm;
  readonly #mac: string;

  constructor(name: string, vm: Vm, mac: string) {
    this.name = name;
    this.#vm = vm;
    this.#mac = mac;
  }

  /** Makes the namespace; once after each boot of the guest. */
  async enter(): Promise<void> {
    const file = `/run/${this.name}.pid`;
    await this.#vm.run(`
      unshare -n sh -c 'echo $$ >${file}.part; mv ${file}.part ${file}; exec sleep 1000000' >/dev/null 2>&1 &
      until [ -s ${file} ]; do usleep 10000; done
      for device in /sys/class/net/*; do
        if [ "$(cat $device/address)" = ${this.#mac} ]; then ip link set \${device##*/} netns $(cat ${file}) name eth0; fi
      done`);
    await this.run('ip link set lo up; ip link show eth0');
  }

  async start(command: string): Promise<void> {
    await this.run(`${command} >/dev/null 2>&1 &`);
  }

  run(command: string, seconds?: number): Promise<string> {
    return this.#vm.run(`nsenter -t $(cat /run/${this.name}.pid) -n sh -c ${quoted(command)}`, seconds);
  }
}

/** Brings `eth0` up with both addresses (/24 and /64), and nothing said about them on the wire. */
export async function address(peer: Peer, { ipv4, ipv6 }: Addresses, mtu = 1500): Promise<void> {
  await peer.run(`
    echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad
    ip link set eth0 mtu ${mtu} up
    ip addr replace ${ipv4}/24 dev eth0
    ip addr replace ${ipv6}/64 dev eth0`);
}

/** How many of `count` echo requests of `size` bytes of payload were answered, the last within `wait` seconds. */
export async function ping(peer: Peer, address: string, { count = 3, size = 56, wait = 5 } = {}): Promise<number> {
  const output = await peer.run(`ping -c ${count} -i 0.05 -W ${wait} -s ${size} ${address} || true`);
  return Number(/(\d+) packets received/.exec(output)?.[1] ?? 0);
}

/** Whether the owner of an address says so itself. */
export async function arp(peer: Peer, address: string, seconds = 5): Promise<boolean> {
  return /Received [1-9]\d* re/.test(
    await peer.run(`arping -f -c ${seconds} -w ${seconds} -I eth0 ${address} || true`),
  );
}

/** Makes a random file of so many bytes, serves it, and answers its SHA-256. */
export async function serveFile(peer: Peer, folder: string, bytes: number): Promise<string> {
  const file = `${folder}/file`;
  await peer.run(`mkdir -p ${folder}; test -e ${file} || head -c ${bytes} /dev/urandom >${file}`);
  await peer.start(`httpd -f -p ${PORT} -h ${folder}`);
  return (await peer.run(`until netstat -lnt | grep -q :${PORT}; do usleep 20000; done; sha256sum <${file}`)).split(
    ' ',
  )[0]!;
}

/** Fetches the file that `address` serves and answers its SHA-256. */
export async function fetchFile(peer: Peer, address: string, seconds = 60): Promise<string> {
  const host = address.includes(':') ? `[${address}]` : address;
  // No -T for wget: with it, a static busybox 1.35 crashes.
  const command = `set -o pipefail; wget -q -O - http://${host}:${PORT}/file | sha256sum`;
  return (await peer.run(command, seconds)).split(' ')[0]!;
}

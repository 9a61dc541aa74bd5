/**
 * A run over two switches and four links between them: hosts send, links lose their carrier or fall silent, and what must always hold is
 * looked at after every step of five milliseconds. Throws at the first thing that doesn't.
 */

import { arpRequest } from '../../control/bonding/announcements.ts';
import { readSaid } from '../../control/bonding/target-frames.ts';
import type { BondMode, BondSettings } from '../../control/model/bond.ts';
import { PortCell } from '../../dataplane/memory/layout.ts';
import { buildArpFrame, buildUdpFrame } from '../../dataplane/wire/build.ts';
import {
  accountsOf,
  BOND,
  BondSide,
  HOST_PORTS,
  type HostVlans,
  LINK_PORTS,
  PlainSide,
  type Side,
} from './bond-sides.ts';
import type { Random } from './network.ts';
import { Wire } from './wire.ts';

export const STEP_MS = 5;
const ALL = 'ff:ff:ff:ff:ff:ff';
/** Where a data frame's number stands: behind Ethernet, IPv4 and UDP headers. */
const ID_AT = 42;
const PORT_OF_DATA = 7777;
const TARGET_MAC = '02:00:00:00:aa:01';
export const TARGET = '10.9.0.1';

interface Host {
  readonly side: 0 | 1;
  readonly port: number;
  readonly mac: string;
  readonly ip: string;
  readonly vlan: number;
}

interface Sent {
  readonly flow: string;
  readonly from: Host;
  readonly to: readonly Host[];
  readonly at: number;
  /** Sent while nothing had changed for long enough: it must arrive, once, in order. */
  readonly steady: boolean;
  /** How often each switch received it from the other. */
  readonly entered: [number, number];
  readonly heard: Map<Host, number>;
  /** A plain bridge did not know where its one receiver is. */
  flooded: boolean;
}

export interface RunOptions {
  readonly settings: BondSettings;
  /** The other end's bond; null: it is a plain bridge. */
  readonly peer: BondSettings | null;
  readonly random: Random;
  /** Of each link. */
  readonly delaysMs: readonly number[];
  readonly vlans: HostVlans;
}

export class BondRun {
  readonly sides: readonly [Side, Side];
  readonly wires: readonly Wire[];
  now = 0;
  /** Whether frames that are sent now must arrive. */
  steady = false;
  delivered = 0;
  copies = 0;
  /** A few flows send most of the frames, and long ones. */
  heavy = false;
  mode: BondMode;
  readonly hosts: readonly Host[];
  readonly #random: Random;
  /** Per side and link the last LACPDU that was sent. */
  readonly #slow = new Map<string, Uint8Array>();
  readonly #sent: Sent[] = [];
  /** Per flow and host the last frame heard of those that were sent in steady times. */
  #last = new Map<string, number>();
  readonly #carriers: { readonly at: number; readonly side: 0 | 1; readonly link: number; readonly up: boolean }[] = [];

  constructor({ settings, peer, random, delaysMs, vlans }: RunOptions) {
    this.mode = settings.mode;
    this.#random = random;
    this.sides = [
      new BondSide(settings, vlans, 0),
      peer === null ? new PlainSide(vlans) : new BondSide(peer, vlans, 0),
    ];
    this.wires = delaysMs.map((delayMs) => new Wire(delayMs));
    this.hosts = ([0, 1] as const).flatMap((side) =>
      HOST_PORTS.map((port, at) => {
        return { side, port, mac: `02:00:00:00:0${side}:0${port}`, ip: `10.0.${side}.${port}`, vlan: vlans[at]! };
      }),
    );
    for (const link of this.wires.keys()) this.setCarrier(link, true);
  }

  /** The carrier of a link, seen by the ends at once or after some steps each. */
  setCarrier(link: number, up: boolean, stepsLate: readonly [number, number] = [0, 0]): void {
    if (up) this.wires[link]!.carrier = true;
    else this.wires[link]!.cut();
    for (const side of [0, 1] as const) {
      const at = this.now + stepsLate[side] * STEP_MS;
      if (at === this.now) this.sides[side].carrier(link, up, this.now);
      else this.#carriers.push({ at, side, link, up });
    }
  }

  /** Tells both ends of a link's carrier once more, as devices are looked at when a bond has them newly. */
  tellCarrier(link: number): void {
    for (const side of this.sides) side.carrier(link, this.wires[link]!.carrier, this.now);
  }

  /** One step of the clock, with so many frames of hosts. */
  step(frames: number): void {
    this.now += STEP_MS;
    for (const one of this.#carriers.filter(({ at }) => at <= this.now)) {
      this.#carriers.splice(this.#carriers.indexOf(one), 1);
      this.sides[one.side].carrier(one.link, one.up, this.now);
    }
    for (const [link, wire] of this.wires.entries())
      for (const { end, bytes } of wire.due(this.now)) this.#enter(end, link, bytes);
    for (let k = 0; k < frames; k++) this.#sendRandom();
    for (const side of [0, 1] as const) {
      this.sides[side].advance(this.now);
      const { entered, left } = accountsOf(this.sides[side].rig);
      if (entered !== left)
        this.#fail(`side ${side} took in ${entered} and accounts for ${left}: ${this.#drops(side)}`);
      this.#collect(side);
    }
  }

  run(ms: number, frames = this.heavy ? 20 : 3): void {
    for (const end = this.now + ms; this.now < end; ) this.step(frames);
  }

  /** Everything sent in these milliseconds must arrive; nothing changes meanwhile. */
  runSteady(ms: number): void {
    this.#last = new Map();
    const first = this.#sent.length;
    this.steady = true;
    this.run(ms);
    this.steady = false;
    this.run(100, 0);
    for (const sent of this.#sent.slice(first)) this.#checkArrived(sent);
  }

  /** Every host is heard of everywhere, and hears. */
  introduce(): void {
    for (const from of this.hosts) {
      this.send(
        from,
        this.hosts.filter((host) => host !== from),
        ALL,
        0,
      );
    }
    this.run(100, 0);
  }

  /** A host of the far side looks for an address, as if it had another. */
  ask(address: string, as: string): void {
    const from = this.hosts.find(({ side, port }) => side === 1 && port === 2)!;
    this.sides[1].rig.port(from.port).push(arpRequest(from.mac, as, address));
  }

  broadcast(from: Host, count: number): void {
    const to = this.#othersOf(from);
    for (let k = 0; k < count; k++) this.send(from, to, ALL, 0);
  }

  /** How many broadcasts these hosts heard of the last so many that were sent. */
  heardBy(hosts: readonly Host[], count: number): number {
    const last = this.#sent.slice(-count);
    return last.reduce((sum, { heard }) => sum + hosts.filter((host) => heard.get(host) === 1).length, 0);
  }

  /** The last LACPDU that a side sent by a link. */
  lastSlow(side: 0 | 1, link: number): Uint8Array {
    return this.#slow.get(`${side} ${link}`)!;
  }

  send(from: Host, to: readonly Host[], dst: string, sourcePort: number): void {
    const id = this.#sent.length;
    const payload = new Uint8Array(this.heavy ? 1200 : 4);
    new DataView(payload.buffer).setUint32(0, id);
    const ip4 = { source: from.ip, destination: dst === ALL ? '255.255.255.255' : to[0]!.ip };
    const ports = { sourcePort, destinationPort: PORT_OF_DATA };
    const flow = `${from.mac} ${dst} ${sourcePort}`;
    this.#sent.push({
      flow,
      from,
      to,
      at: this.now,
      steady: this.steady,
      entered: [0, 0],
      heard: new Map(),
      flooded: false,
    });
    this.sides[from.side].rig.port(from.port).push(buildUdpFrame({ dst, src: from.mac, ip4, ...ports, payload }));
  }

  /** Frames that a side lost for a reason, over all ports. */
  dropped(side: 0 | 1, reason: string): number {
    return Object.entries(this.sides[side].rig.drops())
      .filter(([name]) => name.endsWith(` ${reason}`))
      .reduce((sum, [, count]) => sum + count, 0);
  }

  /** One frame of each of so many flows between two hosts. Answers how many frames the first end sent by each link meanwhile. */
  spread(flows: number): number[] {
    const sent = () => LINK_PORTS.map((port) => this.sides[0].rig.cell(port, PortCell.TX_FRAMES));
    const before = sent();
    const from = this.hosts.find(({ side }) => side === 0)!;
    const to = this.hosts.find(({ side, vlan }) => side === 1 && vlan === from.vlan)!;
    for (let flow = 0; flow < flows; flow++) {
      this.send(from, [to], to.mac, 2000 + flow);
      this.step(0);
    }
    return sent().map((count, link) => count - before[link]!);
  }

  #sendRandom(): void {
    const from = this.hosts[this.#random(this.hosts.length)]!;
    const others = this.#othersOf(from);
    if (this.#random(8) === 0) this.broadcast(from, 1);
    else if (this.heavy && this.#random(4) > 0) {
      const to = this.hosts[(this.hosts.indexOf(from) + 3) % this.hosts.length]!;
      this.send(from, [to], to.mac, 1000);
    } else {
      const to = others[this.#random(others.length)]!;
      this.send(from, [to], to.mac, 1000 + this.#random(4));
    }
  }

  /** Whom it may reach: those of its VLAN. */
  #othersOf(from: Host): Host[] {
    return this.hosts.filter((host) => host !== from && host.vlan === from.vlan);
  }

  /** A frame comes in by a link. */
  #enter(side: 0 | 1, link: number, bytes: Uint8Array): void {
    const sent = this.#dataOf(bytes);
    if (sent !== null) {
      sent.entered[side]++;
      const isBack = sent.from.side === side;
      const isPlain = this.sides[1].machine === null;
      // A plain bridge floods to the other links what it doesn't know, or what goes to all; nothing else ever comes back.
      const most = isPlain
        ? side === 1
          ? isBack
            ? 0
            : 1
          : isBack
            ? 3
            : 4
        : isBack
          ? 0
          : this.mode === 'broadcast'
            ? 4
            : 1;
      if (sent.entered[side] > most) this.#fail(`${sent.flow} came to side ${side} ${sent.entered[side]} times`);
    }
    this.sides[side].rig.port(LINK_PORTS[link]!).push(bytes);
  }

  #collect(side: 0 | 1): void {
    const { rig } = this.sides[side];
    for (const port of HOST_PORTS) {
      const host = this.hosts.find((one) => one.side === side && one.port === port)!;
      for (const { bytes } of rig.port(port).drain()) this.#hear(host, bytes);
    }
    const seen = new Set<Sent>();
    for (const [link, port] of LINK_PORTS.entries()) {
      for (const { bytes } of rig.port(port).drain()) {
        const sent = this.#dataOf(bytes);
        if (sent !== null && sent.to.length === 1 && seen.has(sent)) sent.flooded = true;
        if (sent !== null) seen.add(sent);
        if (bytes[12] === 0x88 && bytes[13] === 0x09) this.#slow.set(`${side} ${link}`, Uint8Array.from(bytes));
        this.wires[link]!.send(side, Uint8Array.from(bytes), this.now);
      }
    }
    if (rig.ports.has(BOND) && rig.port(BOND).drain().length > 0)
      this.#fail(`side ${side} sent out of the bond itself`);
  }

  #hear(host: Host, bytes: Uint8Array): void {
    if (host.side === 1 && host.port === HOST_PORTS[0]) this.#answer(host, bytes);
    const sent = this.#dataOf(bytes);
    if (sent === null) return;
    if (sent.from === host) this.#fail(`${sent.flow} came back to its sender`);
    if (host.vlan !== sent.from.vlan) this.#fail(`${sent.flow} came to ${host.mac}, which is of another VLAN`);
    if (!sent.to.includes(host)) return;
    const heard = (sent.heard.get(host) ?? 0) + 1;
    sent.heard.set(host, heard);
    this.delivered++;
    if (heard > 1) this.#checkCopy(sent, host);
    if (!sent.steady || heard > 1 || this.mode === 'balance-rr') return;
    const flow = `${sent.flow} ${host.mac}`;
    const id = this.#sent.indexOf(sent, this.#last.get(flow) ?? 0);
    if (id < 0) this.#fail(`${flow} was overtaken`);
    this.#last.set(flow, id);
  }

  #checkCopy(sent: Sent, host: Host): void {
    this.copies++;
    const isSenders = ['balance-slb', 'balance-tlb', 'balance-alb'].includes(this.mode);
    if (this.mode === 'broadcast' || (isSenders && sent.flooded)) return;
    this.#fail(`${sent.flow} of ${sent.at} ms was heard ${sent.heard.get(host)} times by ${host.mac}`);
  }

  #checkArrived({ flow, from, to, at, heard }: Sent): void {
    for (const host of to) {
      const isLocal = host.side === from.side;
      const most = this.mode === 'broadcast' && !isLocal ? this.wires.filter(({ isWhole }) => isWhole).length : 1;
      const came = heard.get(host) ?? 0;
      if (came !== most) this.#fail(`${flow} of ${at} ms came ${came} times to ${host.mac}, not ${most}`);
    }
  }

  /** The first host of the far side is also the monitor's target. */
  #answer(host: Host, bytes: Uint8Array): void {
    const said = readSaid(bytes);
    if (said === null || !said.asks || said.target !== TARGET) return;
    const addresses = {
      senderMac: TARGET_MAC,
      senderAddress: TARGET,
      targetMac: said.from,
      targetAddress: said.sender,
    };
    this.sides[host.side].rig.port(host.port).push(buildArpFrame({ operation: 2, ...addresses }));
  }

  #dataOf(bytes: Uint8Array): Sent | null {
    const at = bytes[12] === 0x81 ? 4 : 0;
    const view = new DataView(bytes.buffer, bytes.byteOffset + at, bytes.length - at);
    if (view.byteLength < ID_AT + 4 || view.getUint16(12) !== 0x0800 || view.getUint16(36) !== PORT_OF_DATA)
      return null;
    return this.#sent[view.getUint32(ID_AT)] ?? null;
  }

  #drops(side: 0 | 1): string {
    return JSON.stringify(this.sides[side].rig.drops());
  }

  #fail(what: string): never {
    const links = this.wires.map(({ carrier, quiet }) =>
      carrier ? `up${quiet[0] ? '!' : ''}${quiet[1] ? '¡' : ''}` : 'down',
    );
    const bonds = this.sides.map(({ machine }) =>
      machine === null ? 'plain' : `${machine.steering.carrying.join('')}/${machine.steering.active}`,
    );
    throw new Error(
      `${this.now} ms: ${what} (links ${links.join(' ')}; bonds ${bonds.join(' ')}; ${this.#drops(0)} ${this.#drops(1)})`,
    );
  }
}

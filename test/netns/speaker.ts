/** A machine that speaks a tunnel's protocol by hand: what a switch sends it is read field by field, and what it says may be anything. */
import { MARKER } from './frames.ts';
import { datagram, type Outer, type OuterOptions, readOuter, VXLAN_PORT } from './outer.ts';
import { DEVICE, type Family, type Machine, VNI } from './underlay.ts';

export interface Saying extends Partial<OuterOptions> {
  readonly family?: Family;
}

export class Speaker {
  readonly machine: Machine;
  readonly #listener: Machine;
  readonly #ends: { from: string; to: string };

  private constructor(machine: Machine, listener: Machine, ends: { from: string; to: string }) {
    this.machine = machine;
    this.#listener = listener;
    this.#ends = ends;
  }

  /** Speaks to one machine. Its own port is open, so that its kernel refuses nothing. */
  static async to(listener: Machine, machine: Machine, port = VXLAN_PORT): Promise<Speaker> {
    await machine.host.hold(machine.v4, port);
    await machine.host.hold(machine.v6, port);
    await machine.host.sniff(DEVICE, MARKER);
    return new Speaker(machine, listener, { from: await machine.mac(), to: await listener.mac() });
  }

  /** A frame of the underlay, as `say` sends it. */
  frame(inner: string, options: Saying = {}): string {
    const { family = 'v4' } = options;
    const way = { source: this.machine[family], destination: this.#listener[family] };
    return datagram({ ...this.#ends, ...way, vni: VNI, ...options, inner });
  }

  say(inner: string, options: Saying = {}): Promise<number> {
    return this.raw([this.frame(inner, options)]);
  }

  raw(frames: readonly string[], times = 1): Promise<number> {
    return this.machine.host.send(DEVICE, frames, { times });
  }

  /** Datagrams with a test's frame in them that came since the last question. */
  async heard(count = 1, seconds?: number): Promise<Outer[]> {
    return (await this.machine.host.frames(DEVICE, count, seconds)).map(readOuter);
  }

  /** Forgets what came so far, and whatever comes until there is nothing for a moment. */
  drain(): Promise<void> {
    return this.machine.host.drain(DEVICE);
  }

  /** Waits a moment for what should not come. */
  silence(seconds = 0.2): Promise<Outer[]> {
    return this.heard(1, seconds);
  }
}

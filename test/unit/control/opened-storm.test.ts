/**
 * Devices that come, go and change their memory while ports are added and deleted and workers die, in random order: nothing hangs, no
 * worker serves what is being changed or was closed, and in the end every worker serves what is there.
 */
import { setImmediate as tick } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { PortHost } from '../../../control/devices/port-device.ts';
import { DeviceError } from '../../../control/errors.ts';
import type { PortModel } from '../../../control/model/model.ts';
import { Captures } from '../../../control/running/captures.ts';
import { attachmentOf } from '../../../control/running/executor.ts';
import type { Foundation } from '../../../control/running/foundation.ts';
import { RunningSwitch } from '../../../control/running/running-switch.ts';
import type { NewOrder, WorkerPool } from '../../../control/workers/pool.ts';
import { randomFrom, seedFor } from '../../seed.ts';
import { FakeDevice } from './fake-opener.ts';
import { rig } from './running-rig.ts';

const WORKERS = 2;
const ROUNDS = 60;
const STEPS = 40;
const NAMES = ['a', 'b', 'c'];
const DIED = -11;

type Random = (below: number) => number;

/** Workers that take their time. One that dies may go on serving until its successor starts with what must be served then. */
class StormPool {
  readonly serving = Array.from({ length: WORKERS }, () => new Map<number, number>());
  readonly #alive = Array.from({ length: WORKERS }, () => true);
  readonly #random: Random;
  assignment: (worker: number) => Map<number, number> = () => new Map();
  readonly count = WORKERS;

  constructor(random: Random) {
    this.#random = random;
  }

  async #dither(): Promise<void> {
    for (let k = this.#random(4); k > 0; k--) await tick();
  }

  async order(worker: number, order: NewOrder): Promise<number> {
    if (!this.#alive[worker]) return DIED;
    const serving = this.serving[worker]!;
    // Orders of one worker are carried out in their order; the answers take a while.
    if (order.type === 'attach' && order.attachment.kind === 'device')
      serving.set(order.attachment.port, order.attachment.handle);
    else if (order.type === 'detach') serving.delete(order.port);
    await this.#dither();
    return this.#alive[worker] && this.serving[worker] === serving ? 0 : DIED;
  }

  orderAll(order: NewOrder): Promise<number[]> {
    return Promise.all(this.serving.map((_, worker) => this.order(worker, order)));
  }

  async settled(): Promise<void> {
    await this.orderAll({ type: 'sync' });
  }

  async die(worker: number): Promise<void> {
    if (!this.#alive[worker]) return;
    this.#alive[worker] = false;
    await this.#dither();
    this.serving[worker] = this.assignment(worker);
    this.#alive[worker] = true;
  }

  async close(): Promise<void> {
    this.#alive.fill(false);
    for (const serving of this.serving) serving.clear();
  }

  serves(handle: number): boolean {
    return this.serving.some((serving) => [...serving.values()].includes(handle));
  }
}

/** Changes only while no worker serves it; so does its end. */
class StormDevice extends FakeDevice {
  readonly #pool: StormPool;
  readonly #handles: () => number;
  ended = false;
  constructor(host: PortHost, pool: StormPool, handles: () => number) {
    super(host, []);
    this.#pool = pool;
    this.#handles = handles;
  }
  #check(what: string): void {
    if (this.handle !== null && this.#pool.serves(this.handle))
      throw new Error(`${this.host.port}: served while ${what}`);
    if (this.ended) throw new Error(`${this.host.port}: changed after its end`);
  }
  arrive(): void {
    if (this.handle !== null || this.ended) return;
    this.come(this.#handles());
    this.host.changed();
  }
  async change(random: Random): Promise<void> {
    if (this.ended) return;
    await this.host.aside(async () => {
      if (this.ended) return;
      this.#check('it changes');
      for (let k = random(3); k > 0; k--) await tick();
      this.#check('it changes');
      if (random(3) === 0) this.go();
      else if (this.handle !== null && random(2) === 0) this.come(this.#handles());
    });
    this.host.changed();
  }
  override async close(): Promise<void> {
    this.#check('it is closed');
    this.ended = true;
  }
}

/** Every worker serves what there is, and only ports' devices are open. */
function expectWanted(base: Foundation, pool: StormPool, devices: readonly StormDevice[]): void {
  const wanted = new Map(
    base.book
      .ports()
      .flatMap(({ number, device }) =>
        device?.by === 'opener' && device.device.handle !== null ? [[number, device.device.handle] as const] : [],
      ),
  );
  for (const serving of pool.serving) expect(new Map([...serving].sort())).toEqual(new Map([...wanted].sort()));
  for (const state of base.book.ports()) expect(state.up).toBe(state.device?.by === 'opener' && state.device.device.up);
  expect(devices.filter(({ ended }) => !ended)).toHaveLength(base.book.ports().length);
}

async function storm(random: Random): Promise<void> {
  let handles = 0;
  let storming = true;
  const devices: StormDevice[] = [];
  const pool = new StormPool(random);
  const opener = {
    async open(model: PortModel, host: PortHost): Promise<StormDevice> {
      await tick();
      if (storming && random(8) === 0) throw new DeviceError('storm', `${model.name} can't be opened now`);
      const device = new StormDevice(host, pool, () => ++handles);
      if (random(2) === 0) device.come(++handles);
      devices.push(device);
      return device;
    },
  };
  const { base } = rig({ 'vhost-user': opener });
  base.pool = pool as unknown as WorkerPool;
  pool.assignment = (worker) =>
    new Map(
      base.book.ports().flatMap((state): [number, number][] => {
        const attachment = attachmentOf(state, worker);
        return attachment?.kind === 'device' ? [[attachment.port, attachment.handle]] : [];
      }),
    );
  const documentOf = () => {
    const ports = NAMES.filter(() => random(2) === 0).map((name) => ({
      name,
      kind: 'vhost-user' as const,
      socket: `/${name}`,
      queues: 1 + random(2),
    }));
    return { bridges: [{ name: 'br0', 'fdb-limit': 64, ports }] };
  };
  const sw = new RunningSwitch(base, new Captures(base.view, () => base.pool), documentOf(), {
    file: null,
    keepDevices: false,
  });
  const under: Promise<unknown>[] = [];
  const wrong: unknown[] = [];
  const refused = (error: unknown) => {
    if (!(error instanceof DeviceError && error.code === 'storm')) wrong.push(error);
  };
  const steps = [
    () => sw.apply(documentOf(), { dryRun: false }).catch(refused),
    () => pool.die(random(WORKERS)),
    async () => devices[random(devices.length + 1)]?.arrive(),
    () => devices[random(devices.length + 1)]?.change(random),
    () => devices[random(devices.length + 1)]?.change(random),
  ];
  for (let k = 0; k < STEPS; k++) {
    under.push(Promise.resolve(steps[random(steps.length)]!()).catch((error) => wrong.push(error)));
    if (random(2) === 0) await tick();
  }
  await Promise.all(under);
  storming = false;
  // What was heard last is followed in the switch's turn.
  await sw.apply(sw.config(), { dryRun: false });
  await sw.apply(sw.config(), { dryRun: false });
  expect(wrong).toEqual([]);
  expectWanted(base, pool, devices);
  await sw.close();
  expect(devices.every(({ ended }) => ended)).toBe(true);
}

describe('in a storm', () => {
  const seed = seedFor('a storm of devices');

  it.each(Array.from({ length: ROUNDS }, (_, round) => round))(
    'nothing hangs, and nothing is changed or closed while a worker serves it: %i',
    (round) => storm(randomFrom(seed + round)),
  );
});

/**
 * The forwarding workers as control sees them: long tasks in a Piscina pool, one thread more than there are workers. The spare has
 * everything loaded and stands by, so that a dead worker's place is taken within milliseconds. Main thread; never touches a frame.
 */
import { getSystemErrorName } from 'node:util';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { WORKERS_MAX } from '../../dataplane/limits.ts';
import type { Answer, Assignment, Order } from '../../dataplane/orders.ts';
import type { Addon } from '../../native/binding.ts';
import type { Log } from '../log.ts';

/** An order without the number that the pool gives it. */
export type NewOrder = Order extends infer One ? (One extends { id: number } ? Omit<One, 'id'> : never) : never;

export interface PoolOptions {
  readonly count: number;
  readonly native: Addon;
  readonly log: Log;
  /** The module that each thread runs, unless threads were started early; the compiled worker by default. */
  readonly file?: string;
  /** What worker `index` must serve when it starts, now or again. */
  assignment(index: number): Assignment;
  /** Called before a dead worker's place is taken: gives back what it held. */
  onDeath(index: number, reason: string): void;
  onRestart(index: number, reason: string): void;
  /** Frames wait in a worker's ring of punts. */
  onPunted(): void;
  /** A datagram came to the tunnel `port` from an address, four words as they lie in a packet, that is none of its remotes'. */
  onStranger(port: number, address: readonly number[], count: number): void;
  onMoved(moved: Extract<Answer, { type: 'moved' }>): void;
  onFailedAttachments(index: number, failed: readonly { readonly port: number; readonly error: number }[]): void;
}

/** One thread: standing by, or serving as a worker. */
interface Thread {
  readonly orders: MessagePort;
  readonly abort: AbortController;
  readonly ready: Promise<void>;
  markReady: () => void;
  index: number | null;
  io: number;
  running: (() => void) | null;
  readonly waiting: Map<number, { resolve: (result: number) => void; reject: (error: Error) => void }>;
}

export interface WorkerStatus {
  readonly state: 'starting' | 'running' | 'restarting' | 'stopped';
  readonly restarts: number;
}

/** What an order answers when its worker died over it. */
export const EAGAIN_RESULT = -11;
/** Until then the start has the machine for itself. */
const SPARE_AFTER_MS = 150;
/** How long the end waits for a thread that is still loading; usually it takes 0.1 to 0.3 s. */
const LOAD_MS_MAX = 5000;

let early: Piscina | null = null;

/**
 * Starts the first worker's thread before anybody knows what it is to serve: it loads while the main thread reads the document. The next
 * WorkerPool takes it over; a process that ends without one is not held up by it.
 */
export function startEarly(): void {
  early ??= openThreads(1);
}

/** As many threads as there are tasks; `ready` of them without a task. */
function openThreads(ready: number, filename = workerFile()): Piscina {
  const threads = new Piscina({
    filename,
    minThreads: ready,
    maxThreads: WORKERS_MAX + 1,
    idleTimeout: Number.POSITIVE_INFINITY,
    concurrentTasksPerWorker: 1,
    atomics: 'disabled',
    trackUnmanagedFds: false,
    recordTiming: false,
  });
  // A thread that fails before it has a task: the next one fails as well, and then it is a worker's failure to start.
  threads.on('error', () => undefined);
  return threads;
}

export class WorkerPool {
  readonly #options: PoolOptions;
  readonly #piscina: Piscina;
  readonly #serving: (Thread | null)[];
  readonly #status: { state: WorkerStatus['state']; restarts: number }[];
  #spare: Thread | null = null;
  #nextId = 1;
  #started: Promise<unknown> = Promise.resolve();
  #closing = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#serving = Array.from({ length: options.count }, () => null);
    this.#status = Array.from({ length: options.count }, () => ({ state: 'starting', restarts: 0 }));
    this.#piscina = early ?? openThreads(0, options.file);
    early = null;
  }

  /** Starts all workers and, a moment behind them, the spare. Rejects when one can't start. */
  async start(): Promise<void> {
    const starts = this.#serving.map((_, index) => this.#serve(index, this.#open()));
    this.#started = Promise.allSettled(starts);
    await Promise.all(starts);
    setTimeout(() => {
      if (!this.#closing) this.#spare ??= this.#open();
    }, SPARE_AFTER_MS).unref();
  }

  status(index: number): WorkerStatus {
    return this.#status[index]!;
  }

  get count(): number {
    return this.#serving.length;
  }

  /** Gives worker `index` an order; resolves with its result, or −EAGAIN when that worker died over it. */
  order(index: number, order: NewOrder): Promise<number> {
    const thread = this.#serving[index];
    if (thread === null || thread === undefined) return Promise.resolve(EAGAIN_RESULT);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      thread.waiting.set(id, { resolve, reject });
      thread.orders.postMessage({ ...order, id });
      this.#options.native.kick(index);
    });
  }

  /** The same order to every worker; the results in the order of their numbers. */
  orderAll(order: NewOrder): Promise<number[]> {
    return Promise.all(this.#serving.map((_, index) => this.order(index, order)));
  }

  /** Resolves once every worker has passed two turns: what was published before is what they use. */
  async settled(): Promise<void> {
    await this.orderAll({ type: 'sync' });
  }

  /** Ends a worker's thread as a crash would; the spare takes its place. Resolves when it serves. */
  async restart(index: number): Promise<void> {
    const thread = this.#serving[index];
    if (thread === null || thread === undefined) throw new Error(`worker ${index} is not running`);
    const before = this.#status[index]!.restarts;
    thread.abort.abort();
    this.#options.native.kick(index);
    for (let k = 0; k < 2000 && this.#status[index]!.restarts === before; k++) await delay(1);
    for (let k = 0; k < 5000 && this.#status[index]!.state !== 'running'; k++) await delay(1);
  }

  /** Also after a start that failed: a thread that stands by would take the order to stop for its assignment. */
  async close(): Promise<void> {
    await this.#started;
    this.#closing = true;
    await this.orderAll({ type: 'stop' });
    // Node ends the whole process when a thread is ended in the middle of loading a module.
    if (this.#spare !== null) await within(this.#spare.ready, LOAD_MS_MAX);
    this.#spare?.abort.abort();
    await this.#piscina.destroy();
    for (const thread of this.#serving) thread?.orders.close();
    this.#spare?.orders.close();
  }

  /** Starts a thread that loads everything and stands by. */
  #open(): Thread {
    const { port1, port2 } = new MessageChannel();
    let markReady = (): void => {};
    const ready = new Promise<void>((resolve) => {
      markReady = resolve;
    });
    const abort = new AbortController();
    const thread: Thread = {
      orders: port1,
      abort,
      ready,
      markReady,
      index: null,
      io: 0,
      running: null,
      waiting: new Map(),
    };
    port1.on('message', (answer: Answer) => this.#hear(thread, answer));
    const task = this.#piscina.run({ orders: port2 }, { name: 'serve', transferList: [port2], signal: abort.signal });
    task.then(
      () => this.#ended(thread, 'stopped'),
      (error: Error) => this.#ended(thread, error.message),
    );
    return thread;
  }

  /** Makes a standing-by thread worker `index`; resolves when it runs. */
  async #serve(index: number, thread: Thread): Promise<void> {
    thread.index = index;
    const running = new Promise<void>((resolve, reject) => {
      thread.running = resolve;
      thread.waiting.set(0, { resolve: () => resolve(), reject });
    });
    // One that ends before it is ready never will be.
    await Promise.race([thread.ready, running]);
    thread.orders.postMessage(this.#options.assignment(index));
    // Only now: an order that came before it would be taken for the assignment.
    this.#serving[index] = thread;
    await running;
    thread.waiting.delete(0);
    this.#status[index]!.state = 'running';
  }

  #hear(thread: Thread, answer: Answer): void {
    switch (answer.type) {
      case 'standing-by':
        thread.markReady();
        break;
      case 'running':
        thread.io = answer.io;
        if (answer.ringError !== 0) this.#warnOfRing(thread.index!, answer.ringError);
        if (answer.failed.length > 0) this.#options.onFailedAttachments(thread.index!, answer.failed);
        thread.running?.();
        break;
      case 'done':
        thread.waiting.get(answer.id)?.resolve(answer.result);
        thread.waiting.delete(answer.id);
        break;
      case 'punted':
        this.#options.onPunted();
        break;
      case 'stranger':
        this.#options.onStranger(answer.port, answer.address, answer.count);
        break;
      case 'moved':
        this.#options.onMoved(answer);
    }
  }

  #warnOfRing(worker: number, error: number): void {
    const code = getSystemErrorName(-error);
    this.#options.log.warn(
      { worker, code },
      'no io_uring here: TAPs are read and written by plain calls, which cost more',
    );
  }

  /** A thread is gone: answers what still waits for it, and lets the spare take a worker's place. */
  #ended(thread: Thread, reason: string): void {
    thread.orders.close();
    const starting = thread.waiting.get(0);
    thread.waiting.delete(0);
    for (const { resolve } of thread.waiting.values()) resolve(EAGAIN_RESULT);
    thread.waiting.clear();
    // Who orders something from now on hears at once that nobody is there.
    if (thread.index !== null) this.#serving[thread.index] = null;
    else thread.markReady();
    if (this.#closing) return;
    if (starting !== undefined) {
      starting.reject(new Error(reason));
      return;
    }
    if (thread.index === null) {
      this.#options.log.warn({ reason }, 'the spare worker ended; another is started');
      if (this.#spare === thread) this.#spare = this.#open();
      return;
    }
    void this.#replace(thread.index, reason);
  }

  async #replace(index: number, reason: string): Promise<void> {
    const { log, onDeath, onRestart } = this.#options;
    this.#status[index]!.state = 'restarting';
    this.#status[index]!.restarts++;
    log.error({ worker: index, reason }, 'a worker died; the spare takes its place');
    onDeath(index, reason);
    const spare = this.#spare ?? this.#open();
    this.#spare = null;
    try {
      await this.#serve(index, spare);
      onRestart(index, reason);
    } catch (error) {
      this.#status[index]!.state = 'stopped';
      log.error({ worker: index, reason: (error as Error).message }, 'a worker could not be started again');
      // A place that dies at once is tried again, but not in a busy loop.
      setTimeout(() => void this.#replace(index, (error as Error).message), 1000).unref();
    }
    this.#spare ??= this.#open();
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Resolves with `promise`, or after so many milliseconds. */
async function within(promise: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([promise, new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)))]);
  clearTimeout(timer);
}

/** The compiled worker: threads need JavaScript, also when control runs from source under a test. */
function workerFile(): string {
  const here = import.meta.dirname;
  return here.includes('/dist/')
    ? new URL('../../dataplane/worker.js', import.meta.url).pathname
    : `${here}/../../dist/dataplane/worker.js`;
}

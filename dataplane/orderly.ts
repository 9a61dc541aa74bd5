/**
 * Carries out control's orders in a worker, between two turns, and answers them. Cold: may allocate.
 */
import type { Addon } from '../native/binding.ts';
import { CAPTURE_RING_BYTES } from './limits.ts';
import { ByteRing } from './memory/byte-ring.ts';
import { Header, workerRegion } from './memory/layout.ts';
import type { View } from './memory/view.ts';
import type { Answer, Assignment, Attachment, CaptureOrder, Order, StaticEntry } from './orders.ts';
import { MemoryPort } from './ports/memory.ts';
import { NullPort } from './ports/null.ts';
import { PcapPort } from './ports/pcap.ts';
import type { ScriptPort } from './ports/script-port.ts';
import { Capture } from './ports/wrap/capture.ts';
import { valueFor } from './tables/fdb.ts';
import { insert, remove } from './tables/fdb-write.ts';
import type { Turn } from './turn.ts';

const EAGAIN = 11;
const EEXIST = 17;
const EINVAL = 22;

export class Orderly {
  readonly #native: Addon;
  readonly #turn: Turn;
  readonly #answer: (answer: Answer) => void;
  readonly #captures: Capture[] = [];
  readonly #captureRing: ByteRing;
  /** Sync orders and how many more turns they wait. */
  readonly #syncs: { readonly id: number; turns: number }[] = [];
  #toldMoves = 0;
  #toldPunts = 0;
  #toldStrangers = 0;
  stopped = false;
  /** How to wait: a number of Idle (idle.ts). */
  idle = 0;

  constructor(native: Addon, view: View, turn: Turn, answer: (answer: Answer) => void) {
    this.#native = native;
    this.#turn = turn;
    this.#answer = answer;
    this.#captureRing = new ByteRing(
      view.i32,
      workerRegion(view.layout, Header.CAPTURE_AT, turn.lane.index),
      CAPTURE_RING_BYTES,
    );
  }

  /** Takes up what the assignment brings; answers what could not be attached. */
  begin(assignment: Assignment): { port: number; error: number }[] {
    this.idle = assignment.idle;
    const failed: { port: number; error: number }[] = [];
    for (const attachment of assignment.attachments) {
      const result = this.#attach(attachment);
      if (result < 0) failed.push({ port: attachment.port, error: -result });
    }
    for (const order of assignment.captures) this.#startCapture(order);
    return failed;
  }

  /** Closes what script ports hold. */
  end(): void {
    this.#turn.closeScripts();
  }

  /** Carries one order out and answers it, now or, for a sync, when its turns have passed. */
  carryOut(order: Order): void {
    const result = this.#resultOf(order);
    if (result !== null) this.#done(order.id, result);
  }

  #resultOf(order: Order): number | null {
    switch (order.type) {
      case 'attach':
        return this.#attach(order.attachment);
      case 'detach':
        return this.#detach(order.port);
      case 'sync':
        this.#syncs.push({ id: order.id, turns: 2 });
        return null;
      case 'fdb-add':
        return this.#addEntry(order.entry);
      case 'fdb-delete':
        return remove(this.#turn.lane, order.entry.key0, order.entry.key1, order.entry.bits) ? 1 : 0;
      case 'capture-start':
        this.#startCapture(order.order);
        return 0;
      case 'capture-stop':
        return this.#stopCapture(order.capture);
      case 'idle':
        this.idle = order.idle;
        return 0;
      case 'crash':
        throw new Error('broken on purpose, by order');
      case 'stop':
        this.stopped = true;
        return 0;
    }
  }

  /** Counts down what waits for turns to pass: each sync by one a turn, however many others are answered in it. */
  afterTurn(): void {
    for (const sync of this.#syncs) sync.turns--;
    while (this.#syncs.length > 0 && this.#syncs[0]!.turns < 0) this.#done(this.#syncs.shift()!.id, 0);
  }

  /** True while the worker must not sleep. */
  isRestless(): boolean {
    return this.#syncs.length > 0;
  }

  tellMoves(): void {
    const { lane } = this.#turn;
    const moves = (lane.moves - this.#toldMoves) | 0;
    if (moves === 0) return;
    this.#toldMoves = lane.moves;
    this.#answer({
      type: 'moved',
      key0: lane.movedKey0,
      key1: lane.movedKey1,
      bridge: lane.movedBridge,
      from: lane.movedFrom,
      to: lane.movedTo,
      moves,
    });
  }

  /** Wakes control when frames were handed up in this turn. */
  tellPunts(): void {
    const { punted } = this.#turn.lane;
    if (punted === this.#toldPunts) return;
    this.#toldPunts = punted;
    this.#answer({ type: 'punted' });
  }

  /** Tells who sent to a tunnel without being one of its remotes: of several the last, so that a storm of them costs few messages. */
  tellStrangers(): void {
    const { lane } = this.#turn;
    const count = (lane.strangers - this.#toldStrangers) | 0;
    if (count === 0) return;
    this.#toldStrangers = lane.strangers;
    this.#answer({ type: 'stranger', port: lane.strangerPort, address: [...lane.stranger], count });
  }

  #done(id: number, result: number): void {
    this.#answer({ type: 'done', id, result });
  }

  /** 0, or −errno: what can't be attached must not end the worker, which serves other ports. */
  /** A port that is served already stays: a worker that just started has it from its assignment, and the order comes behind. */
  #attach(attachment: Attachment): number {
    if (attachment.kind === 'device') {
      const result = this.#native.attachQueue(attachment.port, attachment.handle, attachment.queue);
      return result === -EEXIST ? 0 : result;
    }
    if (this.#turn.script(attachment.port) !== undefined) return 0;
    try {
      this.#turn.addScript(scriptPort(attachment));
      return 0;
    } catch (error) {
      // Node's file errors carry −errno; a file that is no capture has none.
      return (error as NodeJS.ErrnoException).errno ?? -EINVAL;
    }
  }

  #detach(port: number): number {
    if (this.#turn.script(port) === undefined) return this.#native.detachQueue(port);
    this.#turn.removeScript(port);
    return 0;
  }

  #addEntry(entry: StaticEntry): number {
    const { lane } = this.#turn;
    const value = valueFor(lane, entry.port, entry.bits) | entry.type;
    return insert(lane, entry.key0, entry.key1, entry.bits, value) === 0 ? -EAGAIN : 0;
  }

  #startCapture(order: CaptureOrder): void {
    const capture = new Capture(order.capture, order.ports, order.filter, this.#captureRing);
    this.#captures.push(capture);
    this.#turn.addTap(capture);
  }

  /** Answers how many frames the capture lost here. */
  #stopCapture(number: number): number {
    const at = this.#captures.findIndex((capture) => capture.capture === number);
    if (at < 0) return 0;
    const [capture] = this.#captures.splice(at, 1);
    this.#turn.removeTap(capture!);
    return capture!.lost;
  }
}

/** Makes a port that is written in TypeScript. Throws when a pcap port's file can't be read or made. */
function scriptPort(attachment: Exclude<Attachment, { kind: 'device' }>): ScriptPort {
  switch (attachment.kind) {
    case 'null':
      return new NullPort(attachment.port);
    case 'memory':
      return new MemoryPort(attachment.port);
    case 'pcap':
      return new PcapPort(attachment.port, attachment.read, attachment.write);
  }
}

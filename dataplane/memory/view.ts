/**
 * The arena as a thread sees it: one typed array of each kind over the whole region, made once. Everything else is arithmetic on
 * offsets from layout.ts.
 */
import { type Layout, readLayout } from './layout.ts';

export class View {
  readonly buffer: ArrayBufferLike;
  readonly i32: Int32Array;
  readonly u16: Uint16Array;
  readonly u8: Uint8Array;
  readonly f64: Float64Array;
  readonly layout: Layout;
  constructor(arena: ArrayBufferLike) {
    this.buffer = arena;
    this.i32 = new Int32Array(arena);
    this.u16 = new Uint16Array(arena);
    this.u8 = new Uint8Array(arena);
    this.f64 = new Float64Array(arena);
    this.layout = readLayout(arena);
  }
}

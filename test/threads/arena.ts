/** An arena that several threads share without the addon. */
import { layoutFor, type Shape, writeHeader } from '../../dataplane/memory/layout.ts';

export function sharedArena(shape: Shape): SharedArrayBuffer {
  const layout = layoutFor(shape);
  const arena = new SharedArrayBuffer(layout.bytes);
  writeHeader(arena, layout);
  return arena;
}

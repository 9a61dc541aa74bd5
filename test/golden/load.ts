/*
 * Reads the golden files for tests: bytes, and tshark's fields as numbers or text. Throws on a field that a test
 * asks for and that isn't there, so that no comparison passes by absence.
 */
import { readFileSync } from 'node:fs';

export interface GoldenFrame {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** What Python's struct read from a virtio-net header. */
  readonly struct: Readonly<Record<string, number>>;
  has(field: string): boolean;
  text(field: string): string;
  /** Decimal and 0x… alike. */
  number(field: string): number;
}

interface Entry {
  readonly name: string;
  readonly hex: string;
  readonly tshark: Readonly<Record<string, string>>;
  readonly struct?: Readonly<Record<string, number>>;
}

export function loadGolden(file: 'trafgen' | 'kernel' | 'vnet' | 'lacp' | 'tunnel'): readonly GoldenFrame[] {
  const { frames } = JSON.parse(readFileSync(new URL(`./${file}.json`, import.meta.url), 'utf8')) as {
    frames: Entry[];
  };
  if (frames.length === 0) throw new Error(`test/golden/${file}.json holds no frames`);
  return frames.map(golden);
}

function golden({ name, hex, tshark, struct }: Entry): GoldenFrame {
  const text = (field: string): string => {
    const value = tshark[field];
    if (value === undefined) throw new Error(`golden frame ${name}: tshark gave no ${field}`);
    return value;
  };
  return {
    name,
    bytes: new Uint8Array(Buffer.from(hex, 'hex')),
    struct: struct ?? {},
    has: (field) => field in tshark,
    text,
    number: (field) => Number(text(field)),
  };
}

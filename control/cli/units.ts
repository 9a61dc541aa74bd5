/**
 * Numbers as people read them: three digits, an SI prefix, a unit. Called by tables and `weft top`; `--json` never passes here.
 */
const PREFIXES = ['', 'k', 'M', 'G', 'T', 'P'] as const;

/** 1234567 → `1.23 M`; below 1,000 whole numbers stay as they are. */
function scaled(value: number): { text: string; prefix: string } {
  let size = value;
  let step = 0;
  while (size >= 999.5 && step < PREFIXES.length - 1) {
    size /= 1000;
    step++;
  }
  const digits = step === 0 && Number.isInteger(value) ? 0 : size < 9.995 ? 2 : size < 99.95 ? 1 : 0;
  return { text: size.toFixed(digits), prefix: PREFIXES[step]! };
}

function join(value: number, unit: string): string {
  const { text, prefix } = scaled(value);
  const tail = `${prefix}${unit}`;
  return tail === '' ? text : `${text} ${tail}`;
}

export function formatCount(value: number): string {
  return join(value, '');
}

export function formatBytes(value: number): string {
  return join(value, 'B');
}

/** Bits per second. */
export function formatBitRate(value: number): string {
  return join(value, 'b/s');
}

export function formatRate(value: number): string {
  return join(Math.round(value), '/s');
}

/** A share as `12 %`; below one per cent with a digit. */
export function formatShare(value: number): string {
  const percent = value * 100;
  return `${percent > 0 && percent < 9.95 ? percent.toFixed(1) : percent.toFixed(0)} %`;
}

/** `12 s`, `3 min`, `4 h`, `2 d`. */
export function formatAge(seconds: number): string {
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

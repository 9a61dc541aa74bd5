/** Values of options as commander reads them, for port.ts and bond-options.ts. Pure; InvalidArgumentError is a wrong usage with the option's name. */
import { InvalidArgumentError } from 'commander';

/** Digits alone: no sign, no fraction. */
export function whole(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It is not a whole number.');
  return Number(text);
}

/** `a,b` as two; an option that repeats goes on where it was. */
export function several(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, ...text.split(',')];
}

/** `10,20-29` as a document writes it. */
export function vlanList(text: string): (number | string)[] {
  return text.split(',').map((item) => (/^\d+$/.test(item.trim()) ? Number(item) : item.trim()));
}

/** Pieces of Prometheus' text format 0.0.4 that every part of a scrape is made of. Called by text.ts and bond-text.ts; pure. */

/** A label's value. */
export function escaped(value: string): string {
  return /[\\"\n]/.test(value) ? value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n') : value;
}

export function heading(name: string, type: 'counter' | 'gauge' | 'histogram', help: string): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
}

/** `bridge="br0",port="web"` */
export function portLabels(sample: { readonly bridge: string; readonly port: string }): string {
  return `bridge="${escaped(sample.bridge)}",port="${escaped(sample.port)}"`;
}

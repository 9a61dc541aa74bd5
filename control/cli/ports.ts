/**
 * Ports as people name them on a command line: `br0/web`, or `web` where only one bridge has such a port.
 */
import { RequestError } from '../errors.ts';
import type { PortRow } from '../switch.ts';
import type { Client } from './client.ts';

export interface PortName {
  readonly bridge: string;
  readonly port: string;
}

/** Splits `br0/web`; the bridge is null where none is named. */
export function splitPort(text: string): { bridge: string | null; port: string } {
  const slash = text.indexOf('/');
  return slash < 0 ? { bridge: null, port: text } : { bridge: text.slice(0, slash), port: text.slice(slash + 1) };
}

/**
 * The row of what is named `up` or `br0/up`, among those of one kind of port, which messages call `kind`. Throws a RequestError when none or
 * several are.
 */
export function rowNamed<Row extends Pick<PortRow, 'bridge' | 'name'>>(
  rows: readonly Row[],
  kind: 'bond' | 'tunnel',
  text: string,
): Row {
  const { bridge, port } = splitPort(text);
  const found = rows.filter((row) => row.name === port && (bridge === null || row.bridge === bridge));
  if (found.length === 1) return found[0]!;
  const names = found.map((row) => `${row.bridge}/${row.name}`).join(', ');
  if (found.length > 1)
    throw new RequestError(`ambiguous-${kind}`, `several bridges have a ${kind} "${port}"`, `name one of ${names}`);
  throw new RequestError(`no-${kind}`, `there is no ${kind} "${text}"`, `\`weft show ${kind}s\` lists them`, 404);
}

/** Finds the bridge of a port that is named without one. Throws a RequestError when none or several have it. */
export async function findPort(client: Client, text: string): Promise<PortName> {
  const { bridge, port } = splitPort(text);
  if (bridge !== null) return { bridge, port };
  const found = (await client.get<PortRow[]>('/v1/ports')).filter((row) => row.name === port);
  if (found.length === 1) return { bridge: found[0]!.bridge, port };
  if (found.length === 0)
    throw new RequestError('no-port', `there is no port "${port}"`, '`weft show ports` lists them', 404);
  const names = found.map((row) => `${row.bridge}/${row.name}`).join(', ');
  throw new RequestError('ambiguous-port', `several bridges have a port "${port}"`, `name one of ${names}`);
}

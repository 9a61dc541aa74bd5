/**
 * Imperative commands as pure functions on the document, which stays the truth: what comes out goes through validation,
 * plan and apply like any other document. Called by the running switch on the main thread. The input is never changed.
 */
import type { BridgeDocument, Document, FdbEntryDocument, PortDocument } from '../config/document.ts';
import { RequestError } from '../errors.ts';
import { normalMac } from './mac.ts';
import { vlanModel } from './vlan.ts';

function withBridge(document: Document, name: string, change: (bridge: BridgeDocument) => BridgeDocument): Document {
  if (!document.bridges.some((bridge) => bridge.name === name)) {
    const names = document.bridges.map((bridge) => bridge.name).join(', ');
    throw new RequestError('no-such-bridge', `there is no bridge ${name} (bridges: ${names || 'none'})`, null, 404);
  }
  return { ...document, bridges: document.bridges.map((bridge) => (bridge.name === name ? change(bridge) : bridge)) };
}

function withPortOf(
  document: Document,
  bridge: string,
  name: string,
  change: (port: PortDocument) => PortDocument | null,
) {
  return withBridge(document, bridge, (found) => {
    const ports = found.ports ?? [];
    if (!ports.some((port) => port.name === name)) {
      throw new RequestError('no-such-port', `there is no port ${name} in bridge ${bridge}`, null, 404);
    }
    return { ...found, ports: ports.flatMap((port) => (port.name === name ? (change(port) ?? []) : port)) };
  });
}

/** Adds a port at the end of its bridge. Throws a RequestError `no-such-bridge` or `port-exists`. */
export function withPort(document: Document, bridge: string, port: PortDocument): Document {
  return withBridge(document, bridge, (found) => {
    if (found.ports?.some((other) => other.name === port.name) === true) {
      throw new RequestError('port-exists', `bridge ${bridge} already has a port ${port.name}`, null, 409);
    }
    return { ...found, ports: [...(found.ports ?? []), port] };
  });
}

/** Throws a RequestError `no-such-bridge` or `no-such-port`. */
export function withoutPort(document: Document, bridge: string, name: string): Document {
  return withPortOf(document, bridge, name, () => null);
}

function vlanOf(port: PortDocument, entry: FdbEntryDocument): number {
  return entry.vlan ?? vlanModel(port.vlan).tag ?? 0;
}

function without(port: PortDocument, vlan: number, mac: string): PortDocument {
  if (port.fdb === undefined) return port;
  const { fdb, ...rest } = port;
  const left = fdb.filter((entry) => normalMac(entry.mac) !== normalMac(mac) || vlanOf(port, entry) !== vlan);
  return left.length === 0 ? (rest as PortDocument) : { ...port, fdb: left };
}

/** Removes a static entry from whichever port of the bridge has it; the same document where none has. */
export function withoutFdbEntry(document: Document, bridge: string, vlan: number, mac: string): Document {
  return withBridge(document, bridge, (found) => {
    if (found.ports === undefined) return found;
    return { ...found, ports: found.ports.map((port) => without(port, vlan, mac)) };
  });
}

/** Adds a static entry to a port, taking it from any port of the bridge that had it. Without a VLAN it is in the port's own. */
export function withFdbEntry(document: Document, bridge: string, name: string, entry: FdbEntryDocument): Document {
  const port = document.bridges.find((one) => one.name === bridge)?.ports?.find((one) => one.name === name);
  const vlan = port === undefined ? (entry.vlan ?? 0) : vlanOf(port, entry);
  const cleared = withoutFdbEntry(document, bridge, vlan, entry.mac);
  return withPortOf(cleared, bridge, name, (port) => ({ ...port, fdb: [...(port.fdb ?? []), { ...entry, vlan }] }));
}

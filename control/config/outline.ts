/**
 * A document's bones for the cross-checks: whatever has the right type is there, whatever has not is null. So that names
 * that clash are reported together with a wrong type elsewhere. Made by load.ts from any value at all; never throws.
 */
import { memberName } from '../model/bond-document.ts';

/** What ports and members of bonds have alike. */
export interface MemberOutline {
  readonly path: readonly (string | number)[];
  readonly bridge: string | null;
  /** Of a member without one: its device. */
  readonly name: string | null;
  readonly kind: string | null;
  readonly raw: Readonly<Record<string, unknown>>;
}

export interface PortOutline extends MemberOutline {
  /** Of a bond; empty for other kinds. */
  readonly members: readonly MemberOutline[];
}

export interface BridgeOutline {
  readonly path: readonly (string | number)[];
  readonly name: string | null;
  readonly fdbLimit: number | null;
  readonly ports: readonly PortOutline[];
}

export interface Outline {
  readonly workers: Readonly<Record<string, unknown>>;
  readonly api: Readonly<Record<string, unknown>>;
  readonly bridges: readonly BridgeOutline[];
  readonly ports: readonly PortOutline[];
}

/** What has a device or socket of its own: ports, and in place of a bond its members. */
export function leavesOf(ports: readonly PortOutline[]): MemberOutline[] {
  return ports.flatMap((port) => (port.kind === 'bond' ? port.members : [port]));
}

export function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

/** A text, or the texts of a list. */
export function textsOf(value: unknown): string[] {
  const list = Array.isArray(value) ? value : [value];
  return list.filter((item): item is string => typeof item === 'string');
}

function memberOutlines(path: MemberOutline['path'], bridge: string | null, members: unknown): MemberOutline[] {
  return listOf(members).map((member, i) => {
    const raw = recordOf(member);
    return { path: [...path, 'members', i], bridge, name: memberName(raw), kind: textOf(raw.kind), raw };
  });
}

export function outlineOf(value: unknown): Outline {
  const top = recordOf(value);
  const bridges = listOf(top.bridges).map((bridge, i): BridgeOutline => {
    const path = ['bridges', i];
    const raw = recordOf(bridge);
    const name = textOf(raw.name);
    const ports = listOf(raw.ports).map((port, j): PortOutline => {
      const rawPort = recordOf(port);
      const portPath = [...path, 'ports', j];
      const kind = textOf(rawPort.kind);
      const members = kind === 'bond' ? memberOutlines(portPath, name, rawPort.members) : [];
      return { path: portPath, bridge: name, name: textOf(rawPort.name), kind, raw: rawPort, members };
    });
    const limit = raw['fdb-limit'];
    return { path, name, fdbLimit: typeof limit === 'number' ? limit : null, ports };
  });
  return {
    workers: recordOf(top.workers),
    api: recordOf(top.api),
    bridges,
    ports: bridges.flatMap((bridge) => bridge.ports),
  };
}

/** The device that a tap or netdev port means: its own `device`, or its name. */
export function deviceOf(port: MemberOutline): string | null {
  if (port.kind !== 'tap' && port.kind !== 'netdev') return null;
  return port.raw.device === undefined ? port.name : textOf(port.raw.device);
}

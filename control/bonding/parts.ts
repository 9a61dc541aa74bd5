/**
 * What the bond machine needs of its two watchers, LACP and the target monitor, and how it makes them. bond.ts speaks only these, so that
 * its tests can put something simpler in their place.
 */
import type { LacpModel, MonitorModel } from '../model/bond.ts';
import { LacpSystem } from '../protocols/lacp/system.ts';
import type { LacpMemberRow } from '../switch.ts';
import { TargetMonitor } from './monitor.ts';

/** Sends a frame as it is by a member. */
export type SendMember = (member: string, frame: Uint8Array) => void;

/** All members of an 802.3ad bond; protocols/lacp/system.ts. Times in milliseconds, `id` a member's name. */
export interface LacpMachine {
  readonly wakeAt: number;
  /** Does any port of the selected aggregator have a partner? */
  readonly negotiated: boolean;
  configure(settings: LacpModel, minLinks: number, now: number): void;
  /** Also for one that is there and gets another priority. */
  addPort(id: string, settings: { readonly number: number; readonly priority: number }, now: number): void;
  /** Its partner is told, as it is of one that is held: it shall not carry though its link works. */
  removePort(id: string, now: number): void;
  hold(id: string, held: boolean, now: number): void;
  link(id: string, up: boolean, speed: number | null, mac: string, now: number): void;
  receive(id: string, frame: Uint8Array, now: number): void;
  tick(now: number): void;
  collecting(id: string): boolean;
  distributing(id: string): boolean;
  row(id: string): LacpMemberRow;
}

/** ARP and neighbour targets; monitor.ts. */
export interface LifeMonitor {
  readonly wakeAt: number;
  /** `mac`: what it asks as, where that isn't the bond's address; `alive`: what is known of it from before. */
  addMember(member: string, now: number, mac: string, alive: boolean): void;
  removeMember(member: string): void;
  carrying(members: readonly string[], now: number): void;
  receive(member: string, frame: Uint8Array, now: number): void;
  tick(now: number, received: (member: string) => number): void;
  alive(member: string): boolean;
}

export interface BondParts {
  lacp(settings: LacpModel, minLinks: number, now: number, send: SendMember): LacpMachine;
  monitor(
    settings: MonitorModel,
    mac: string,
    sources: readonly string[],
    now: number,
    send: SendMember,
    options: { readonly everyone: boolean },
  ): LifeMonitor;
}

export const PARTS: BondParts = {
  lacp: (...given) => new LacpSystem(...given),
  monitor: (...given) => new TargetMonitor(...given),
};

/**
 * A tunnel with suppression in the path, and what control keeps of it: frames of hosts at home and behind the tunnel, and who hears what.
 */
import { expect, onTestFinished } from 'vitest';
import { Neighbours } from '../../../control/running/neighbours.ts';
import type { PortBook } from '../../../control/running/port-book.ts';
import { Punts } from '../../../control/running/punts.ts';
import { buildArpFrame, buildNeighbourFrame, type TagOptions } from '../../../dataplane/wire/build.ts';
import { loadGolden } from '../../golden/load.ts';
import { type RigPort, tablePort } from '../../rig.ts';
import { hex } from './frames.ts';
import { TUNNEL, TunnelRig } from './tunnel-rig.ts';

const VXLAN = '0800000000138f00';
/** Hosts at home and behind the tunnel, as in the golden frames. */
export const HERE = { mac: '02:00:00:00:00:02', ip4: '198.51.100.2', ip6: '2001:db8::2' };
export const THERE = { mac: '02:00:00:00:00:09', ip4: '198.51.100.9', ip6: '2001:db8::9' };
export const NOBODY = '00:00:00:00:00:00';
export const golden = new Map(loadGolden('tunnel').map(({ name, bytes }) => [name, bytes]));
export const REQUEST = golden.get('arp-request')!;
export const SOLICITATION = golden.get('solicitation')!;

type Host = typeof HERE;
export const announcement = ({ mac, ip4 }: Host, vlan: readonly TagOptions[] = []) =>
  buildArpFrame({ operation: 1, senderMac: mac, senderAddress: ip4, targetMac: NOBODY, targetAddress: ip4, vlan });
export const advertisement = ({ mac, ip6 }: Host, more: object = {}, vlan: readonly TagOptions[] = []) =>
  buildNeighbourFrame({
    dst: '33:33:00:00:00:01',
    src: mac,
    vlan,
    ip6: { source: ip6, destination: 'ff02::1' },
    type: 136,
    router: false,
    solicited: false,
    override: true,
    target: ip6,
    linkAddress: mac,
    ...more,
  });
export const solicitation = (of: Host, target: string, more: object = {}) =>
  buildNeighbourFrame({
    dst: '33:33:ff:00:00:09',
    src: of.mac,
    ip6: { source: of.ip6, destination: 'ff02::1:ff00:9' },
    type: 135,
    router: false,
    solicited: false,
    override: false,
    target,
    linkAddress: of.mac,
    ...more,
  });

interface Stand {
  readonly tunnel?: RigPort;
  readonly hosts?: readonly RigPort[];
  readonly suppress?: boolean;
  readonly clampMss?: boolean;
}

export function stand({ tunnel = {}, hosts = [{}, {}], suppress = true, clampMss = false }: Stand = {}) {
  const rig = new TunnelRig(
    { [TUNNEL]: { suppress, clampMss, port: tunnel } },
    hosts.map((host, k) => tablePort(k + 1, host)),
  );
  const punts = new Punts(rig.view);
  const settings = { suppress: true };
  const state = { number: TUNNEL, bridge: 'br0', leaving: false, model: { name: 'pod', kind: 'vxlan', settings } };
  const ports = new Map([[TUNNEL, state]]);
  const book = { byNumber: (port: number) => ports.get(port), bridge: () => ({ number: 1 }) } as unknown as PortBook;
  const clock = { ms: 0 };
  const neighbours = new Neighbours(rig.view, book, punts, () => clock.ms);
  onTestFinished(() => neighbours.close());
  return {
    rig,
    punts,
    neighbours,
    clock,
    ports,
    state,
    /** A frame comes by the tunnel, and control hears what it is told. Answers how many were told so far. */
    comes(frame: Uint8Array): number {
      rig.arrive({ frame, from: '192.0.2.2', header: VXLAN });
      punts.drain();
      return rig.lane.punted;
    },
    /** Sends from `port`; what came out where, the tunnel's beside. */
    asks(frame: Uint8Array, port = 1) {
      const out = rig.send(port, frame);
      const at = (number: number) => (out.get(number) ?? []).map(hex);
      return { here: at(port), other: at(port === 1 ? 2 : 1), tunnel: rig.left().map((left) => hex(left.frame)) };
    },
  };
}

/** THERE is known by both of its addresses. */
export function known(more: Stand = {}) {
  const made = stand(more);
  const tags = more.tunnel?.vlan === undefined ? [] : [{ vid: 10 }];
  made.comes(announcement(THERE, tags));
  made.comes(advertisement(THERE, {}, tags));
  expect(made.neighbours.rows()).toHaveLength(2);
  made.rig.collected();
  return made;
}

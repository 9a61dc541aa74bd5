/** What is known of a guest, as lines for people: `weft port show NAME`. Called by guest-port.ts on the main thread; pure. */
import {
  featureWords,
  hasProtocol,
  ProtocolFeature,
  type ProtocolFeatureName,
} from '../../protocols/vhost-user/features.ts';
import type { Session } from '../../protocols/vhost-user/session.ts';
import { passes, type SessionState } from '../../protocols/vhost-user/state.ts';

const MIB = 1n << 20n;

export interface GuestTallies {
  refusedClients: number;
  refusedMessages: number;
  lastRefusal: string | null;
  connections: number;
}

export function guestDetails(tallies: GuestTallies, session: Session | null): Readonly<Record<string, string>> {
  return {
    'front end': session === null ? 'not connected' : session.ready ? 'connected, its rings run' : 'connected',
    ...(session === null ? {} : sessionLines(session.state)),
    connections: `${tallies.connections}`,
    'refused clients': `${tallies.refusedClients}`,
    'refused messages': `${tallies.refusedMessages}`,
    ...(tallies.lastRefusal === null ? {} : { 'last refusal': tallies.lastRefusal }),
  };
}

function sessionLines(state: SessionState): Record<string, string> {
  const { features, regions, rings, options, mtu } = state;
  const bytes = regions.reduce((sum, region) => sum + region.bytes, 0n);
  const pairs = Array.from({ length: options.queues }, (_, pair) => rings.slice(2 * pair, 2 * pair + 2));
  const running = pairs.filter((pair) => pair.every((ring) => passes(state, ring))).length;
  const protocol = (Object.keys(ProtocolFeature) as ProtocolFeatureName[])
    .filter((name) => hasProtocol(state.protocolFeatures, name))
    .map((name) => name.toLowerCase().replaceAll('_', '-'));
  return {
    features: features === null ? 'not agreed on yet' : featureWords(features),
    'protocol features': protocol.length === 0 ? 'none' : protocol.join(', '),
    queues: `${running} of ${options.queues} run, of ${rings[0]?.size ?? 0} entries`,
    memory: `${bytes / MIB} MiB in ${regions.length} ${regions.length === 1 ? 'region' : 'regions'}`,
    ...(mtu === null ? {} : { mtu: `${mtu}` }),
  };
}

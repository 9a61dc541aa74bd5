/**
 * The churn detection machines (IEEE 802.1AX-2014, 6.4.17): a link that works but that one side keeps out of its aggregator for a minute.
 * Called by system.ts; they change nothing but what is shown. Pure.
 */
import { CHURN_DETECTION_MS, type ChurnState, type LacpPort, NEVER } from './port.ts';

export function churnMachine(port: LacpPort, now: number): LacpPort {
  const [actorChurn, actorChurnUntil] = step(
    port,
    port.state.synchronization,
    port.actorChurn,
    port.actorChurnUntil,
    now,
  );
  const inSync = port.partner.state.synchronization;
  const [partnerChurn, partnerChurnUntil] = step(port, inSync, port.partnerChurn, port.partnerChurnUntil, now);
  if (actorChurn === port.actorChurn && partnerChurn === port.partnerChurn) return port;
  return { ...port, actorChurn, actorChurnUntil, partnerChurn, partnerChurnUntil };
}

function step({ up }: LacpPort, inSync: boolean, churn: ChurnState, until: number, now: number): [ChurnState, number] {
  if (!up || inSync) return ['none', NEVER];
  if (churn === 'none') return ['monitor', now + CHURN_DETECTION_MS];
  return churn === 'monitor' && now >= until ? ['churn', NEVER] : [churn, until];
}

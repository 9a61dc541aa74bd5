/**
 * The periodic transmission machine (IEEE 802.1AX-2014, 6.4.13, figure 6-19): how often an LACPDU is sent, as the partner asks. Called by
 * system.ts after the receive machine. Pure.
 */
import { FAST_PERIODIC_MS, type LacpPort, NEVER, SLOW_PERIODIC_MS } from './port.ts';

/** NTT is set whenever a period ends; PERIODIC_TX is passed in one step. */
export function periodicMachine(port: LacpPort, now: number): LacpPort {
  const isActive = port.state.activity || port.partner.state.activity;
  if (!port.up || !port.lacp || !isActive) {
    if (port.periodic === 'NO_PERIODIC') return port;
    return { ...port, periodic: 'NO_PERIODIC', periodicUntil: NEVER };
  }
  const isShort = port.partner.state.timeout;
  if (port.periodic === 'NO_PERIODIC') return begin(port, isShort, now);
  if (port.periodic === 'FAST_PERIODIC' && !isShort) return begin(port, false, now);
  const wants = now >= port.periodicUntil || (port.periodic === 'SLOW_PERIODIC' && isShort);
  return wants ? begin({ ...port, ntt: true }, isShort, now) : port;
}

function begin(port: LacpPort, isShort: boolean, now: number): LacpPort {
  return isShort
    ? { ...port, periodic: 'FAST_PERIODIC', periodicUntil: now + FAST_PERIODIC_MS }
    : { ...port, periodic: 'SLOW_PERIODIC', periodicUntil: now + SLOW_PERIODIC_MS };
}

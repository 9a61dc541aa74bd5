/**
 * The mux machine with independent control of collecting and distributing (IEEE 802.1AX-2014, 6.4.15, figure 6-21): a port sends only
 * after its partner said that it receives. Called by system.ts after the selection. Pure.
 */
import { AGGREGATE_WAIT_MS, type LacpPort, type MuxState, NEVER, withState } from './port.ts';

/** Steps until it rests. `ready`: all ports that wait for the port's aggregator have waited long enough (6.4.8, Ready). */
export function muxMachine(port: LacpPort, ready: boolean, now: number): LacpPort {
  const next = nextState(port, ready);
  return next === port.mux ? port : muxMachine(enter(port, next, now), ready, now);
}

function nextState(port: LacpPort, ready: boolean): MuxState {
  const { selected } = port;
  const { synchronization, collecting } = port.partner.state;
  switch (port.mux) {
    case 'DETACHED':
      return selected === 'unselected' ? 'DETACHED' : 'WAITING';
    case 'WAITING':
      if (selected === 'unselected') return 'DETACHED';
      return selected === 'selected' && ready ? 'ATTACHED' : 'WAITING';
    case 'ATTACHED':
      if (selected !== 'selected') return 'DETACHED';
      return synchronization ? 'COLLECTING' : 'ATTACHED';
    case 'COLLECTING':
      if (selected !== 'selected' || !synchronization) return 'ATTACHED';
      return collecting ? 'DISTRIBUTING' : 'COLLECTING';
    case 'DISTRIBUTING':
      return selected === 'selected' && synchronization && collecting ? 'DISTRIBUTING' : 'COLLECTING';
  }
}

function enter(port: LacpPort, mux: MuxState, now: number): LacpPort {
  switch (mux) {
    case 'DETACHED':
      return withState(
        { ...port, mux, ntt: true, waitUntil: NEVER },
        { synchronization: false, collecting: false, distributing: false },
      );
    case 'WAITING':
      return { ...port, mux, waitUntil: now + AGGREGATE_WAIT_MS };
    case 'ATTACHED':
      return withState(
        { ...port, mux, ntt: true, waitUntil: NEVER },
        { synchronization: true, collecting: false, distributing: false },
      );
    case 'COLLECTING':
      return withState({ ...port, mux, ntt: true }, { collecting: true, distributing: false });
    case 'DISTRIBUTING':
      // The figure sets no NTT here; the partner's picture of us would be old until the next period.
      return withState({ ...port, mux, ntt: true }, { distributing: true });
  }
}

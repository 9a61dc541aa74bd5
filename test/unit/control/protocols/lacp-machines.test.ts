/** Periodic, mux, transmit and churn machines by IEEE 802.1AX-2014, 6.4.13 to 6.4.17, transition by transition; keys of speeds. */
import { describe, expect, it } from 'vitest';
import { churnMachine } from '../../../../control/protocols/lacp/churn.ts';
import { keyOf } from '../../../../control/protocols/lacp/key.ts';
import { muxMachine } from '../../../../control/protocols/lacp/mux.ts';
import { periodicMachine } from '../../../../control/protocols/lacp/periodic.ts';
import {
  type LacpPort,
  type MuxState,
  type Selected,
  withPartnerState,
  withState,
} from '../../../../control/protocols/lacp/port.ts';
import { transmitAt, transmitMachine } from '../../../../control/protocols/lacp/transmit.ts';
import { currentPort, muxPort } from './lacp-ports.ts';

describe('periodic machine', () => {
  const fast = () => periodicMachine(withPartnerState(currentPort(), { timeout: true }), 0);
  const slow = () => periodicMachine(withPartnerState(currentPort(), { timeout: false }), 0);

  it('NO_PERIODIC → FAST_PERIODIC, or on to SLOW_PERIODIC, as the partner asks; nothing is sent for it', () => {
    expect(fast()).toMatchObject({ periodic: 'FAST_PERIODIC', periodicUntil: 1_000, ntt: false });
    expect(slow()).toMatchObject({ periodic: 'SLOW_PERIODIC', periodicUntil: 30_000, ntt: false });
  });

  it('FAST_PERIODIC → PERIODIC_TX → FAST_PERIODIC every second', () => {
    expect(periodicMachine(fast(), 999)).toEqual(fast());
    expect(periodicMachine(fast(), 1_000)).toMatchObject({
      periodic: 'FAST_PERIODIC',
      periodicUntil: 2_000,
      ntt: true,
    });
  });

  it('SLOW_PERIODIC → PERIODIC_TX → SLOW_PERIODIC every 30 s', () => {
    expect(periodicMachine(slow(), 29_999)).toEqual(slow());
    expect(periodicMachine(slow(), 30_000)).toMatchObject({
      periodicUntil: 60_000,
      ntt: true,
      periodic: 'SLOW_PERIODIC',
    });
  });

  it('FAST_PERIODIC → SLOW_PERIODIC without sending, SLOW_PERIODIC → PERIODIC_TX → FAST_PERIODIC at once', () => {
    expect(periodicMachine(withPartnerState(fast(), { timeout: false }), 500)).toMatchObject({
      periodic: 'SLOW_PERIODIC',
      periodicUntil: 30_500,
      ntt: false,
    });
    expect(periodicMachine(withPartnerState(slow(), { timeout: true }), 500)).toMatchObject({
      periodic: 'FAST_PERIODIC',
      periodicUntil: 1_500,
      ntt: true,
    });
  });

  it('any state → NO_PERIODIC when the link is down, LACP is off, or both are passive', () => {
    const passive = withPartnerState(withState(fast(), { activity: false }), { activity: false });
    for (const port of [{ ...fast(), up: false }, { ...slow(), lacp: false }, passive])
      expect(periodicMachine(port, 5_000)).toMatchObject({ periodic: 'NO_PERIODIC', ntt: false });
    const still = periodicMachine(passive, 5_000);
    expect(periodicMachine(still, 50_000)).toBe(still);
    expect(periodicMachine(withState(fast(), { activity: false }), 1_000).ntt).toBe(true);
    expect(periodicMachine(withPartnerState(fast(), { activity: false }), 1_000).ntt).toBe(true);
  });
});

describe('mux machine', () => {
  const from = (
    mux: MuxState,
    selected: Selected,
    partner: { synchronization?: boolean; collecting?: boolean },
    ready = true,
  ) => muxMachine(muxPort({ mux, selected }, { synchronization: false, collecting: false, ...partner }), ready, 100);
  const IN_SYNC = { synchronization: true };
  const ALL = { synchronization: true, collecting: true };

  it('DETACHED → WAITING when selected or standing by, for 2 s', () => {
    for (const selected of ['selected', 'standby'] as const)
      expect(from('DETACHED', selected, ALL, false)).toMatchObject({ mux: 'WAITING', waitUntil: 2_100, ntt: false });
    expect(from('DETACHED', 'unselected', ALL).mux).toBe('DETACHED');
  });

  it('WAITING → ATTACHED when selected and ready: in sync, and the partner is told', () => {
    const port = from('WAITING', 'selected', {});
    expect(port).toMatchObject({ mux: 'ATTACHED', ntt: true });
    expect(port.state).toMatchObject({ synchronization: true, collecting: false, distributing: false });
    expect(from('WAITING', 'selected', {}, false).mux).toBe('WAITING');
    expect(from('WAITING', 'standby', {}).mux).toBe('WAITING');
  });

  it('WAITING → DETACHED when unselected', () => {
    expect(from('WAITING', 'unselected', ALL)).toMatchObject({ mux: 'DETACHED', ntt: true });
  });

  it('ATTACHED → COLLECTING when the partner is in sync', () => {
    const port = from('ATTACHED', 'selected', IN_SYNC);
    expect(port).toMatchObject({ mux: 'COLLECTING', ntt: true });
    expect(port.state).toMatchObject({ synchronization: true, collecting: true, distributing: false });
    expect(from('ATTACHED', 'selected', { collecting: true }).mux).toBe('ATTACHED');
  });

  it('COLLECTING → DISTRIBUTING only when the partner collects', () => {
    expect(from('COLLECTING', 'selected', IN_SYNC).mux).toBe('COLLECTING');
    const port = from('COLLECTING', 'selected', ALL);
    expect(port).toMatchObject({ mux: 'DISTRIBUTING', ntt: true });
    expect(port.state).toMatchObject({ collecting: true, distributing: true });
  });

  it('DISTRIBUTING → COLLECTING when the partner no longer collects', () => {
    const port = from('DISTRIBUTING', 'selected', IN_SYNC);
    expect(port).toMatchObject({ mux: 'COLLECTING', ntt: true });
    expect(port.state).toMatchObject({ collecting: true, distributing: false });
    expect(from('DISTRIBUTING', 'selected', ALL).mux).toBe('DISTRIBUTING');
  });

  it('DISTRIBUTING and COLLECTING → ATTACHED when the partner is out of sync', () => {
    for (const mux of ['DISTRIBUTING', 'COLLECTING'] as const) {
      const port = from(mux, 'selected', { collecting: true });
      expect(port).toMatchObject({ mux: 'ATTACHED', ntt: true });
      expect(port.state).toMatchObject({ synchronization: true, collecting: false, distributing: false });
    }
  });

  it('all the way to DETACHED when unselected, and on to WAITING when standing by', () => {
    for (const mux of ['ATTACHED', 'COLLECTING', 'DISTRIBUTING'] as const) {
      const port = from(mux, 'unselected', ALL);
      expect(port).toMatchObject({ mux: 'DETACHED', ntt: true });
      expect(port.state).toMatchObject({ synchronization: false, collecting: false, distributing: false });
      expect(from(mux, 'standby', ALL)).toMatchObject({ mux: 'WAITING', ntt: true, waitUntil: 2_100 });
    }
  });
});

describe('transmit machine', () => {
  const wants = (sentAt: readonly number[]): LacpPort => ({
    ...currentPort(),
    periodic: 'FAST_PERIODIC',
    ntt: true,
    sentAt,
  });

  it('sends what is wanted, once', () => {
    const { port, send } = transmitMachine(wants([]), 500);
    expect(send).toBe(true);
    expect(port).toMatchObject({ ntt: false, sentAt: [500] });
    expect(transmitMachine(port, 501)).toEqual({ port, send: false });
  });

  it('sends at most three in any second', () => {
    const port = wants([100, 600, 700]);
    expect(transmitMachine(port, 1_099)).toEqual({ port, send: false });
    expect(transmitAt(port)).toBe(1_100);
    expect(transmitMachine(port, 1_100)).toMatchObject({ send: true, port: { sentAt: [600, 700, 1_100], ntt: false } });
  });

  it('sends nothing and wants nothing in NO_PERIODIC', () => {
    expect(transmitMachine({ ...wants([]), periodic: 'NO_PERIODIC' }, 5)).toMatchObject({
      send: false,
      port: { ntt: false },
    });
  });
});

describe('churn machines', () => {
  const port = (own: boolean, partner: boolean): LacpPort =>
    withPartnerState(withState(currentPort(), { synchronization: own }), { synchronization: partner });

  it('monitor a side that is out of sync, and call it churn after 60 s', () => {
    const watched = churnMachine(port(false, true), 10);
    expect(watched).toMatchObject({ actorChurn: 'monitor', partnerChurn: 'none' });
    expect(churnMachine(watched, 60_009)).toBe(watched);
    expect(churnMachine(watched, 60_010)).toMatchObject({ actorChurn: 'churn', partnerChurn: 'none' });
    expect(churnMachine(churnMachine(port(true, false), 10), 60_010)).toMatchObject({ partnerChurn: 'churn' });
  });

  it('end with sync, or with the link', () => {
    const churned = churnMachine(churnMachine(port(false, false), 0), 60_000);
    expect(churned).toMatchObject({ actorChurn: 'churn', partnerChurn: 'churn' });
    expect(churnMachine(withState(churned, { synchronization: true }), 60_001)).toMatchObject({ actorChurn: 'none' });
    expect(churnMachine({ ...churned, up: false }, 60_001)).toMatchObject({ actorChurn: 'none', partnerChurn: 'none' });
  });
});

describe('keys of speeds', () => {
  it('are the same for one speed, different for others, and fit', () => {
    const speeds = [null, 1e7, 1e8, 1e9, 2.5e9, 5e9, 1e10, 2.5e10, 4e10, 5e10, 1e11, 2e11, 4e11, 8e11];
    const keys = speeds.map(keyOf);
    expect(new Set(keys).size).toBe(speeds.length);
    expect(keyOf(1e9)).toBe(7100);
    expect(keyOf(2.5e10)).toBe(8250);
    for (const odd of [0, -1, Number.NaN, 1, 999, Number.MAX_VALUE]) keys.push(keyOf(odd));
    for (const key of keys) expect(Number.isInteger(key) && key >= 1 && key <= 0xffff).toBe(true);
  });
});

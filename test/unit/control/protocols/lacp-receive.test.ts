/** The receive machine by IEEE 802.1AX-2014, figure 6-18, transition by transition, and its functions (6.4.9). */
import { describe, expect, it } from 'vitest';
import { defaultPartner, type LacpPort, withPartnerState } from '../../../../control/protocols/lacp/port.ts';
import { type ReceiveEvent, receiveMachine } from '../../../../control/protocols/lacp/receive.ts';
import { ACTOR, currentPort, freshPort, PARTNER, PARTNER_STATE, pduFor, upPort } from './lacp-ports.ts';

const TIME: ReceiveEvent = { type: 'time' };
const MOVED: ReceiveEvent = { type: 'moved' };
const LENIENT = { ...ACTOR, strict: false };

function step(port: LacpPort, event: ReceiveEvent, now: number, actor = ACTOR): LacpPort {
  return receiveMachine(port, event, actor, now);
}

function hear(port: LacpPort, pdu: ReturnType<typeof pduFor>, now = 0, actor = ACTOR): LacpPort {
  return step(port, { type: 'pdu', pdu }, now, actor);
}

describe('receive machine', () => {
  it('INITIALIZE → PORT_DISABLED: forgets the partner', () => {
    const port = step({ ...currentPort(), receive: 'INITIALIZE', up: false }, TIME, 5);
    expect(port).toMatchObject({ receive: 'PORT_DISABLED', selected: 'unselected', aggregator: null });
    expect(port.partner).toEqual(defaultPartner(ACTOR));
    expect(port.state).toMatchObject({ defaulted: true, expired: false });
  });

  it('any state → PORT_DISABLED when the link goes down: keeps the partner, out of sync', () => {
    for (const receive of ['CURRENT', 'EXPIRED', 'DEFAULTED'] as const) {
      const port = step({ ...currentPort(), receive, up: false }, TIME, 5);
      expect(port).toMatchObject({ receive: 'PORT_DISABLED', selected: 'selected', aggregator: 11 });
      expect(port.currentUntil).toBe(Number.POSITIVE_INFINITY);
      expect(port.partner).toEqual({ ...PARTNER, state: { ...PARTNER_STATE, synchronization: false } });
    }
  });

  it('PORT_DISABLED stays, whatever comes', () => {
    const down = step({ ...currentPort(), up: false }, TIME, 5);
    expect(step(down, TIME, 1_000_000)).toBe(down);
    expect(hear(down, pduFor(down))).toBe(down);
  });

  it('PORT_DISABLED → INITIALIZE when the partner moved to another port', () => {
    const down = step({ ...currentPort(), up: false }, TIME, 5);
    const port = step(down, MOVED, 6);
    expect(port).toMatchObject({ receive: 'PORT_DISABLED', selected: 'unselected', aggregator: null });
    expect(port.partner.system).toBe('00:00:00:00:00:00');
    const up = currentPort();
    expect(step(up, MOVED, 6)).toBe(up);
  });

  it('PORT_DISABLED → EXPIRED when the link comes up: 3 s by the short timeout, asks for fast LACPDUs', () => {
    const slow = withPartnerState(currentPort(), { timeout: false });
    const port = step({ ...step({ ...slow, up: false }, TIME, 5), up: true }, TIME, 1_000);
    expect(port).toMatchObject({ receive: 'EXPIRED', currentUntil: 4_000, selected: 'selected' });
    expect(port.state).toMatchObject({ expired: true, defaulted: false });
    expect(port.partner.state).toMatchObject({ synchronization: false, timeout: true });
  });

  it('PORT_DISABLED → LACP_DISABLED where LACP is off, and → EXPIRED when it is switched on', () => {
    const off = step({ ...freshPort(LENIENT, false), up: true }, TIME, 0, LENIENT);
    expect(off).toMatchObject({ receive: 'LACP_DISABLED', selected: 'unselected' });
    expect(off.partner.state).toMatchObject({ aggregation: false, synchronization: true });
    expect(hear(off, pduFor(off), 1, LENIENT)).toBe(off);
    expect(step({ ...off, lacp: true }, TIME, 7, LENIENT)).toMatchObject({ receive: 'EXPIRED', currentUntil: 3_007 });
    expect(step({ ...currentPort(), lacp: false }, TIME, 9).receive).toBe('LACP_DISABLED');
    expect(step({ ...off, up: false }, TIME, 9).receive).toBe('PORT_DISABLED');
  });

  it('EXPIRED → DEFAULTED after 3 s and not before', () => {
    const port = upPort();
    expect(step(port, TIME, 2_999)).toBe(port);
    const defaulted = step({ ...port, selected: 'selected', aggregator: 11 }, TIME, 3_000);
    expect(defaulted).toMatchObject({ receive: 'DEFAULTED', selected: 'selected', aggregator: 11 });
    expect(defaulted.state).toMatchObject({ defaulted: true, expired: false });
    expect(step(defaulted, TIME, 1_000_000)).toBe(defaulted);
  });

  it('EXPIRED → DEFAULTED leaves the aggregator of a partner that is gone (update_Default_Selected)', () => {
    const silent = step(currentPort(), TIME, 3_000);
    expect(step(silent, TIME, 6_000)).toMatchObject({
      receive: 'DEFAULTED',
      selected: 'unselected',
      partner: defaultPartner(ACTOR),
    });
  });

  it('DEFAULTED: in sync with the default partner unless that is asked for strictly', () => {
    expect(step(upPort(LENIENT), TIME, 3_000, LENIENT).partner.state).toMatchObject({
      synchronization: true,
      collecting: true,
      aggregation: false,
    });
    expect(step(upPort(), TIME, 3_000).partner.state.synchronization).toBe(false);
  });

  it('EXPIRED, DEFAULTED and CURRENT → CURRENT with an LACPDU', () => {
    for (const port of [upPort(), step(upPort(), TIME, 3_000), currentPort()]) {
      const heard = hear(port, pduFor(port), 10);
      expect(heard).toMatchObject({ receive: 'CURRENT', currentUntil: 3_010, partner: PARTNER });
      expect(heard.state).toMatchObject({ defaulted: false, expired: false });
    }
  });

  it('CURRENT → EXPIRED after 3 s when we ask for fast LACPDUs', () => {
    const port = currentPort(500);
    expect(step(port, TIME, 3_499)).toBe(port);
    expect(step(port, TIME, 3_500)).toMatchObject({ receive: 'EXPIRED', currentUntil: 6_500, selected: 'selected' });
  });

  it('CURRENT → EXPIRED after 90 s when we ask for slow ones', () => {
    const slow = { ...ACTOR, short: false };
    const port = currentPort(500, slow);
    expect(step(port, TIME, 90_499, slow)).toBe(port);
    expect(step(port, TIME, 90_500, slow)).toMatchObject({ receive: 'EXPIRED', currentUntil: 93_500 });
  });
});

describe('update_Selected', () => {
  it('keeps the aggregator while the partner stays the same', () => {
    expect(hear(currentPort(), pduFor(currentPort())).selected).toBe('selected');
    expect(hear(currentPort(), pduFor(currentPort(), { state: { collecting: false } })).selected).toBe('selected');
  });

  it.each([
    ['port', { port: 22 }],
    ['port priority', { portPriority: 3 }],
    ['system', { system: '02:00:00:00:0c:00' }],
    ['system priority', { systemPriority: 201 }],
    ['key', { key: 21 }],
    ['aggregation', { state: { aggregation: false } }],
  ])('leaves the aggregator when the partner has another %s', (_, change) => {
    expect(hear(currentPort(), pduFor(currentPort(), change))).toMatchObject({
      selected: 'unselected',
      aggregator: null,
    });
  });
});

describe('update_NTT', () => {
  it('wants nothing when the partner knows us', () => {
    expect(hear(currentPort(), pduFor(currentPort())).ntt).toBe(false);
  });

  it.each([
    ['port', { port: 1 }],
    ['port priority', { portPriority: 9 }],
    ['system', { system: '02:00:00:00:0c:00' }],
    ['system priority', { systemPriority: 9 }],
    ['key', { key: 9 }],
    ['activity', { state: { activity: false } }],
    ['timeout', { state: { timeout: false } }],
    ['synchronization', { state: { synchronization: true } }],
    ['aggregation', { state: { aggregation: false } }],
  ])('wants to be told when the partner believes another %s', (_, believed) => {
    expect(hear(currentPort(), pduFor(currentPort(), {}, believed)).ntt).toBe(true);
  });

  it('does not mind collecting and distributing', () => {
    const believed = { state: { collecting: true, distributing: true } };
    expect(hear(currentPort(), pduFor(currentPort(), {}, believed)).ntt).toBe(false);
  });

  it('does not forget what was wanted before', () => {
    const port = { ...currentPort(), ntt: true };
    expect(hear(port, pduFor(port)).ntt).toBe(true);
  });
});

describe('recordPDU', () => {
  const isInSync = (port: LacpPort, pdu: ReturnType<typeof pduFor>): boolean =>
    hear(port, pdu).partner.state.synchronization;

  it('believes sync of a partner that knows us', () => {
    expect(isInSync(upPort(), pduFor(upPort()))).toBe(true);
    expect(isInSync(upPort(), pduFor(upPort(), { state: { synchronization: false } }))).toBe(false);
  });

  it.each([
    ['port', { port: 1 }],
    ['port priority', { portPriority: 9 }],
    ['system', { system: '02:00:00:00:0c:00' }],
    ['system priority', { systemPriority: 9 }],
    ['key', { key: 9 }],
    ['aggregation', { state: { aggregation: false } }],
  ])('believes no sync of one that knows another %s of us, but for an individual link', (_, believed) => {
    expect(isInSync(upPort(), pduFor(upPort(), {}, believed))).toBe(false);
    expect(isInSync(upPort(), pduFor(upPort(), { state: { aggregation: false } }, believed))).toBe(true);
  });

  it('believes sync only where LACP keeps the link: the partner is active, or we are and it knows', () => {
    const passive = { state: { activity: false } };
    expect(isInSync(upPort(), pduFor(upPort(), passive))).toBe(true);
    expect(isInSync(upPort(), pduFor(upPort(), passive, passive))).toBe(false);
    const mute = { ...ACTOR, activity: false };
    const port = upPort(mute);
    expect(hear(port, pduFor(port, passive, {}, mute), 0, mute).partner.state.synchronization).toBe(false);
    expect(hear(port, pduFor(port, {}, {}, mute), 0, mute).partner.state.synchronization).toBe(true);
  });

  it('has the partner as it told itself', () => {
    const told = { key: 77, state: { collecting: false, expired: true } };
    const { partner } = hear(withPartnerState(upPort(), { defaulted: true }), pduFor(upPort(), told));
    expect(partner).toEqual({ ...PARTNER, key: 77, state: { ...PARTNER_STATE, collecting: false, expired: true } });
  });
});

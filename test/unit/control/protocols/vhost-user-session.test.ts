/** Whole lives of front ends against a model of the guest, as recorded and as they must not be: features, answers, rings. */
import { describe, expect, it } from 'vitest';
import { offeredFeatures, offeredProtocolFeatures } from '../../../../control/protocols/vhost-user/features.ts';
import { HEADER_BYTES, type Header, parseHeader } from '../../../../control/protocols/vhost-user/message.ts';
import { type RequestName, requestName } from '../../../../control/protocols/vhost-user/requests.ts';
import { type Answer, touchesGuest } from '../../../../control/protocols/vhost-user/session.ts';
import { address, type Recorded, recorded, reply, state, table, words } from './front-end.ts';
import { LOG_ALL, MIB, places, running, type Stand, stand, USER, VERSION_1 } from './session-rig.ts';

function play(list: readonly Recorded[], { session, guest }: Stand): { name: RequestName; answer: Answer }[] {
  return list.map(({ bytes, descriptors }) => {
    const all = Buffer.from(bytes, 'hex');
    const header = parseHeader(all) as Header;
    const payload = all.subarray(HEADER_BYTES);
    const answer = session.receive({ header, payload, descriptors: guest.give(descriptors) });
    guest.checkLoose();
    return { name: requestName(header.request)!, answer };
  });
}

describe('a real front end', () => {
  it('QEMU 7.2 with two queue pairs gets its rings, and gives them back', () => {
    const one = stand({ queues: 2 });
    const end = recorded.qemu.findIndex(({ bytes }) => bytes.startsWith('0b'));
    const first = play(recorded.qemu.slice(0, end), one);
    expect(first.filter(({ answer }) => answer.refusal !== null)).toEqual([]);
    expect(one.session.ready).toBe(true);
    expect(one.session.state).toMatchObject({ features: 0x1_4000_0008n, mtu: 1500 });
    expect(one.guest.rings.map(({ started, enabled }) => started && enabled)).toEqual([true, true, false, false]);
    expect(one.guest.rings[0]).toMatchObject({ base: null, place: { size: 256, descriptors: 0x7f9f7ff5e000n } });
    one.guest.rings[1]!.next = 5;
    const rest = play(recorded.qemu.slice(end), one);
    expect(rest.map(({ answer }) => answer.refusal)).toEqual(rest.map(() => null));
    expect(reply(rest[1]!.answer.reply!)).toMatchObject({ request: 11, flags: 5, payload: state(1, 5) });
    expect(one.session.ready).toBe(false);
    expect(one.session.running).toBe(false);
  });

  it('QEMU is answered where it waits, and only there', () => {
    const answers = play(recorded.qemu, stand({ queues: 2 }));
    const waits = ({ name, answer }: { name: RequestName; answer: Answer }) =>
      (answer.reply !== null) === (name.startsWith('GET_') || name === 'NET_SET_MTU' || name === 'ADD_MEM_REG');
    expect(answers.filter((one) => !waits(one))).toEqual([]);
  });

  it('DPDK’s virtio-user gets its rings, and gives them back', () => {
    const one = stand();
    const end = recorded['virtio-user'].findIndex(({ bytes }) => bytes.startsWith('0b'));
    const answers = play(recorded['virtio-user'].slice(0, end - 2), one);
    expect(answers.filter(({ answer }) => answer.refusal !== null)).toEqual([]);
    expect(one.session.ready).toBe(true);
    expect(one.guest.regions).toEqual([
      { guestAddress: 0x1001b7000n, bytes: 128n * MIB, userAddress: 0x1001b7000n, offset: 0n },
    ]);
    const rest = play(recorded['virtio-user'].slice(end - 2), one);
    expect(rest.filter(({ answer }) => answer.refusal !== null)).toEqual([]);
    expect(one.session.running).toBe(false);
  });

  it('QEMU 7.2 that migrates its guest away has what is written logged, then its rings back', () => {
    const one = stand();
    const life = recorded['qemu-leaving'];
    const end = life.findIndex(({ bytes }) => bytes.startsWith('0b'));
    const answers = play(life.slice(0, end), one);
    expect(answers.filter(({ answer }) => answer.refusal !== null)).toEqual([]);
    expect(one.guest.calls).toContain('log 2048 0');
    expect(one.guest.agreed & LOG_ALL).toBe(LOG_ALL);
    expect(one.guest.rings.map(({ place, started }) => [started, place!.log])).toEqual([
      [true, 0x3f61000n],
      [true, 0x3f64000n],
    ]);
    play(life.slice(end), one);
    expect(one.session.running).toBe(false);
  });

  it('QEMU 7.2 to which a guest migrates goes on where the guest was, and has it announced', () => {
    const one = stand();
    const answers = play(recorded['qemu-arriving'], one);
    expect(answers.filter(({ answer }) => answer.refusal !== null)).toEqual([]);
    expect(one.guest.calls.filter((call) => call.startsWith('base'))).toEqual(['base 0 7', 'base 1 7']);
    expect(new Set(one.guest.announced)).toEqual(new Set(['02:00:00:00:00:01']));
  });

  it('leaves nothing behind when it goes', () => {
    for (const list of Object.values(recorded)) {
      const one = stand({ queues: 2 });
      play(list, one);
      one.session.end();
      expect(one.guest.kept).toBe(0);
      expect(one.guest.regions).toEqual([]);
    }
  });
});

describe('questions', () => {
  it('are answered', () => {
    const one = stand({ queues: 4, mtu: null });
    expect(one.number('GET_FEATURES')).toBe(offeredFeatures(null));
    expect(one.number('GET_PROTOCOL_FEATURES')).toBe(offeredProtocolFeatures(null));
    expect(one.number('GET_QUEUE_NUM')).toBe(4n);
    one.send('SET_PROTOCOL_FEATURES', words(1 << 15));
    expect(one.number('GET_MAX_MEM_SLOTS')).toBe(32n);
  });

  it('need no worker aside, whereas rings and memory do', () => {
    expect(touchesGuest(1)).toBe(false);
    expect(touchesGuest(19)).toBe(false);
    expect(touchesGuest(99)).toBe(false);
    for (const request of [2, 4, 5, 6, 8, 9, 10, 11, 12, 13, 18, 37, 38]) expect(touchesGuest(request)).toBe(true);
  });
});

describe('an answer', () => {
  it('comes only when it was asked for and REPLY_ACK agreed on', () => {
    const one = stand();
    expect(one.send('SET_OWNER', undefined, 0, true).reply).toBeNull();
    one.send('SET_PROTOCOL_FEATURES', words(8));
    expect(one.send('SET_OWNER').reply).toBeNull();
    expect(reply(one.send('SET_OWNER', undefined, 0, true).reply!)).toMatchObject({ request: 3, payload: words(0) });
  });

  it('tells of a refusal, which else ends the connection', () => {
    const one = running();
    expect(one.send('SET_VRING_NUM', state(0, 3))).toMatchObject({ reply: null, close: true });
    const nack = one.send('SET_VRING_NUM', state(0, 3), 0, true);
    expect(nack).toMatchObject({ close: false, refusal: expect.stringContaining('a size of 3') });
    expect(reply(nack.reply!)).toMatchObject({ request: 8, payload: words(1) });
    expect(one.send('GET_VRING_BASE', state(9, 0), 0, true)).toMatchObject({ reply: null, close: true });
  });
});

describe('a ring', () => {
  it('is enabled by being started where PROTOCOL_FEATURES was not agreed on', () => {
    const one = stand();
    one.send('SET_FEATURES', words(VERSION_1));
    one.send('SET_MEM_TABLE', table([0, 64n * MIB, USER, 0]), 1);
    for (const ring of [0, 1]) {
      one.send('SET_VRING_NUM', state(ring, 256));
      one.send('SET_VRING_ADDR', places(ring));
      expect(one.send('SET_VRING_KICK', words(0x100 | ring)).refusal).toBeNull();
    }
    expect(one.session.ready).toBe(true);
  });

  it('is disabled until it is enabled where it was, and remembers that over a stop', () => {
    const one = running();
    one.send('SET_VRING_ENABLE', state(1, 0));
    expect(one.session).toMatchObject({ ready: false, running: true });
    expect(one.guest.rings[1]).toMatchObject({ started: true, enabled: false });
    one.send('SET_VRING_ENABLE', state(1, 1));
    one.send('GET_VRING_BASE', state(1, 0));
    expect(one.session.ready).toBe(false);
    one.send('SET_VRING_KICK', words(1), 1);
    expect(one.session.ready).toBe(true);
  });

  it('begins where it is told, and where the used ring ends when nobody says', () => {
    const one = running();
    expect(one.guest.rings[0]!.base).toBeNull();
    one.guest.rings[0]!.next = 77;
    expect(reply(one.send('GET_VRING_BASE', state(0, 0)).reply!).payload).toEqual(state(0, 77));
    expect(reply(one.send('GET_VRING_BASE', state(0, 0)).reply!).payload).toEqual(state(0, 77));
    one.send('SET_VRING_BASE', state(0, 77));
    one.send('SET_VRING_KICK', words(0), 1);
    expect(one.guest.rings[0]!.base).toBe(77);
    one.send('GET_VRING_BASE', state(0, 0));
    one.send('SET_VRING_KICK', words(0), 1);
    expect(one.guest.rings[0]!.base).toBeNull();
  });

  it('changes its descriptors while it runs', () => {
    const one = running();
    const before = one.guest.kept;
    one.send('SET_VRING_CALL', words(0), 1);
    one.send('SET_VRING_KICK', words(0), 1);
    expect(one.guest.kept).toBe(before);
    one.send('SET_VRING_CALL', words(0x100));
    expect(one.guest.kept).toBe(before - 1);
    one.send('SET_VRING_ERR', words(0), 1);
    expect(one.guest.kept).toBe(before - 1);
  });

  it.each([
    ['SET_VRING_NUM', state(0, 512), 0, 'another size while it runs'],
    ['SET_VRING_NUM', state(0, 0), 0, 'a size of 0'],
    ['SET_VRING_NUM', state(0, 100), 0, 'a size of 100'],
    ['SET_VRING_NUM', state(0, 65536), 0, 'a size of 65536'],
    ['SET_VRING_NUM', state(0, 0x8000_0000), 0, 'a size of 2147483648'],
    ['SET_VRING_NUM', state(2, 256), 0, 'ring 2 is not one of 2'],
    ['SET_VRING_NUM', state(0xffff_ffff, 256), 0, 'ring 4294967295'],
    ['SET_VRING_BASE', state(0, 1), 0, 'another index while it runs'],
    ['SET_VRING_BASE', state(0, 65536), 0, 'an index of 65536'],
    ['SET_VRING_ADDR', places(1).fill(0, 0, 1), 0, 'another place while it runs'],
    ['SET_VRING_ADDR', address(0, { descriptors: 8, used: 4, available: 2 }), 0, 'not aligned to 16'],
    ['SET_VRING_ADDR', address(0, { descriptors: 16, used: 2, available: 2 }), 0, 'not aligned to 4'],
    ['SET_VRING_ADDR', address(0, { descriptors: 16, used: 4, available: 1 }), 0, 'not aligned to 2'],
    ['SET_VRING_ADDR', address(7, { descriptors: 16, used: 4, available: 2 }), 0, 'ring 7'],
    ['SET_VRING_KICK', words(200), 1, 'ring 200'],
    ['SET_VRING_KICK', words(0), 2, '2 descriptors'],
    ['SET_VRING_CALL', words(0x100), 1, '1 descriptors'],
    ['SET_VRING_ENABLE', state(0, 2), 0, 'neither'],
    ['SET_FEATURES', words(VERSION_1), 0, 'other features while a ring runs'],
    ['SET_FEATURES', words(1n << 34n), 0, 'not offered'],
    ['SET_PROTOCOL_FEATURES', words(1n << 5n), 0, 'not offered'],
    ['NET_SET_MTU', words(67), 0, 'not an MTU'],
    ['NET_SET_MTU', words(1501), 0, 'not an MTU'],
    ['SEND_RARP', words(1), 0, 'not the address'],
    ['SEND_RARP', words(0), 0, 'not the address'],
  ] as const)('is not hurt by %s %#', (name, payload, descriptors, reason) => {
    const one = running();
    const before = JSON.stringify(one.guest.rings, (_, value) => (typeof value === 'bigint' ? `${value}` : value));
    const answer = one.send(name, payload, descriptors, true);
    expect(answer.refusal).toContain(reason);
    expect(JSON.stringify(one.guest.rings, (_, value) => (typeof value === 'bigint' ? `${value}` : value))).toBe(
      before,
    );
    expect(one.session.ready).toBe(true);
  });

  it.each([
    ['features', ['SET_MEM_TABLE', 'SET_VRING_NUM', 'SET_VRING_ADDR'], 'before SET_FEATURES'],
    ['memory', ['SET_FEATURES', 'SET_VRING_NUM', 'SET_VRING_ADDR'], 'without memory'],
    ['size', ['SET_FEATURES', 'SET_MEM_TABLE', 'SET_VRING_ADDR'], 'without size'],
    ['place', ['SET_FEATURES', 'SET_MEM_TABLE', 'SET_VRING_NUM'], 'without size and place'],
  ] as const)('does not start without %s', (_, names, reason) => {
    const one = stand();
    for (const name of names) {
      if (name === 'SET_FEATURES') one.send(name, words(VERSION_1));
      else if (name === 'SET_MEM_TABLE') one.send(name, table([0, 64n * MIB, USER, 0]), 1);
      else if (name === 'SET_VRING_NUM') one.send(name, state(0, 256));
      else one.send(name, places(0));
    }
    const answer = one.send('SET_VRING_KICK', words(0), 1);
    expect(answer).toMatchObject({ close: true, refusal: expect.stringContaining(reason) });
    expect(one.guest.kept).toBe(0);
  });

  it('does not start outside of memory', () => {
    const one = stand();
    one.send('SET_FEATURES', words(VERSION_1));
    one.send('SET_MEM_TABLE', table([0, 4096, USER, 0]), 1);
    one.send('SET_VRING_NUM', state(0, 256));
    one.send('SET_VRING_ADDR', places(0));
    expect(one.send('SET_VRING_KICK', words(0), 1).refusal).toContain("not in the guest's memory");
    expect(one.session.running).toBe(false);
  });

  it('is disabled by RESET_OWNER', () => {
    const one = running();
    one.send('RESET_OWNER');
    expect(one.session).toMatchObject({ ready: false, running: true });
  });
});

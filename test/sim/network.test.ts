/** Several switches, seeded: loss, reorder, slow, full and flapping ports, full address tables. What must hold is checked each step. */
import { describe, expect, it } from 'vitest';
import { isLong } from '../needs.ts';
import { randomFrom, seedFor } from '../seed.ts';
import type { Host } from './network.ts';
import { Network } from './network.ts';
import { Simulation } from './simulation.ts';

const RUNS = isLong() ? 40 : 3;
const STEPS = isLong() ? 2000 : 400;
/** Faults at ports go on: so often in vain is not by chance. */
const TRIES = 10;

function run(seed: number, steps = STEPS): Simulation {
  const simulation = new Simulation(new Network(randomFrom(seed), 4, 6));
  for (let step = 0; step < steps; step++) simulation.advance();
  return simulation;
}

/** Everybody that the configuration joins reaches everybody, once the faults are over. */
function expectReach(simulation: Simulation): number {
  const { network } = simulation;
  simulation.heal();
  simulation.settle();
  const plain = network.hosts.filter(({ mode }) => mode !== 'dot1q-tunnel');
  const sent: { to: Host; id: number; joined: boolean }[] = [];
  for (const from of plain) {
    for (const to of plain) {
      if (from === to) continue;
      const isTrunk = to.mode === 'native-untagged' && network.domainOf(to, to.trunk) === network.domainOf(from);
      const joined = isTrunk || network.domainOf(from) === network.domainOf(to);
      for (let k = 0; k < TRIES; k++) sent.push({ to, id: simulation.send(from, to.mac), joined });
    }
    simulation.settle();
  }
  const pairs = sent.filter((_, k) => k % TRIES === 0);
  for (let k = 0; k < pairs.length; k++) {
    const heard = sent.slice(TRIES * k, TRIES * (k + 1)).some(({ to, id }) => simulation.hasHeard(to, id));
    expect(heard, `frame ${pairs[k]!.id}`).toBe(pairs[k]!.joined);
  }
  return pairs.filter(({ joined }) => joined).length;
}

describe('a network of four switches', () => {
  it(`${RUNS} runs of ${STEPS} steps: accounts, isolation, order, no duplicates; and then everybody is reached`, {
    timeout: 3_600_000,
  }, () => {
    const seed = seedFor('a network of four switches');
    let joined = 0;
    const drops = new Set<string>();
    for (let k = 0; k < RUNS; k++) {
      const simulation = run(seed + k);
      expect(simulation.delivered).toBeGreaterThan(STEPS / 4);
      expect(simulation.flaps).toBeGreaterThan(0);
      for (const { rig } of simulation.network.nodes)
        for (const name of Object.keys(rig.drops())) drops.add(name.split(' ')[1]!);
      joined += expectReach(simulation);
    }
    // The runs were no walk in the park.
    expect(joined).toBeGreaterThan(0);
    for (const reason of ['ingress-down', 'fault-injected', 'egress-full', 'same-port', 'no-egress'])
      expect(drops).toContain(reason);
  });
});

describe('the simulation', () => {
  it('is the same for the same seed', () => {
    const [once, again, other] = [run(5, 100), run(5, 100), run(6, 100)].map(({ delivered, sent, network }) => ({
      delivered,
      sent,
      drops: network.nodes.map(({ rig }) => rig.drops()),
    }));
    expect(again).toEqual(once);
    expect(other).not.toEqual(once);
  });

  it('would notice a VLAN that leaks', () => {
    const simulation = new Simulation(new Network(randomFrom(1), 3, 8));
    const { network } = simulation;
    const from = network.hosts.find(({ mode }) => mode === 'access')!;
    const to = network.hosts.find(
      (host) =>
        host.node === from.node && host.bridge === from.bridge && network.domainOf(host) !== network.domainOf(from),
    )!;
    const node = network.nodes[from.node]!;
    node.ports = node.ports.map((port) =>
      port.number === to.port ? { ...port, vlan: node.ports.find(({ number }) => number === from.port)!.vlan } : port,
    );
    network.publish(node);
    simulation.send(from, 'ffffffffffff');
    expect(() => simulation.settle()).toThrow(/crossed to/);
  });

  it('would notice a frame that nobody accounts for', () => {
    const simulation = new Simulation(new Network(randomFrom(1), 2, 8));
    simulation.network.nodes[0]!.rig.turns.addTap({
      received: (_lane, _list, n) => n,
      sending: (_lane, _list, n) => Math.max(0, n - 1),
    });
    for (const host of simulation.network.hosts) simulation.send(host, 'ffffffffffff');
    expect(() => simulation.settle()).toThrow(/accounts for/);
  });
});

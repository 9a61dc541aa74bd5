/** The plan: empty for no change, in an order that frees before it takes, and right when a toy switch carries it out. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Document } from '../../../control/config/document.ts';
import { parseYaml, validateDocument } from '../../../control/config/load.ts';
import { type BridgeModel, fromDocument, isTunnel, type Model, type PortModel } from '../../../control/model/model.ts';
import { describe as describeAction, undoes } from '../../../control/plan/describe.ts';
import { type Action, type BridgeSettings, plan } from '../../../control/plan/plan.ts';
import { seedFor } from '../../seed.ts';

const model = (yaml: string): Model => fromDocument(parseYaml(yaml));
const onePort = (port: string, rest = '') => model(`{ bridges: [{ name: br0, ports: [${port}] }] ${rest} }`);
const steps = (a: Model | null, b: Model) =>
  plan(a, b).actions.map((action) => {
    const { verb, subject, detail } = describeAction(action);
    return `${verb} ${subject}: ${detail}`;
  });

/** Does what a plan says, and refuses what a kernel or a switch would refuse. */
class ToySwitch {
  readonly bridges = new Map<string, { settings: BridgeSettings; ports: Map<string, PortModel> }>();
  idle: string | null = null;

  run(action: Action): void {
    switch (action.type) {
      case 'delete-port':
        expect(this.ports(action.bridge).delete(action.port.name)).toBe(true);
        break;
      case 'delete-bridge':
        expect(this.ports(action.bridge.name).size).toBe(0);
        this.bridges.delete(action.bridge.name);
        break;
      case 'add-bridge':
        expect(this.bridges.has(action.bridge.name)).toBe(false);
        this.bridges.set(action.bridge.name, { settings: action.bridge, ports: new Map() });
        break;
      case 'change-bridge':
        this.bridges.get(action.after.name)!.settings = action.after;
        break;
      case 'change-port':
        expect(this.ports(action.bridge).get(action.before.name)).toEqual(action.before);
        this.put(action.bridge, action.after);
        break;
      case 'add-port':
        expect(this.ports(action.bridge).has(action.port.name)).toBe(false);
        this.put(action.bridge, action.port);
        break;
      case 'change-idle':
        this.idle = action.after;
        break;
      case 'restart-needed':
        break;
    }
  }

  private ports(bridge: string): Map<string, PortModel> {
    const found = this.bridges.get(bridge);
    if (found === undefined) throw new Error(`no bridge ${bridge}`);
    return found.ports;
  }

  private put(bridge: string, port: PortModel): void {
    const ports = this.ports(bridge);
    ports.delete(port.name);
    if (port.kind === 'tap') {
      const taps = [...this.bridges.values()].flatMap((b) => [...b.ports.values()]).filter((p) => p.kind === 'tap');
      expect(taps.filter((p) => p.device === port.device && p.netns === port.netns)).toEqual([]);
      const inSpace = taps.filter((p) => p.netns === port.netns);
      for (const gateway of port.gateways) expect(inSpace.flatMap((p) => p.gateways)).not.toContain(gateway);
    }
    const all = [...this.bridges.values()].flatMap((b) => [...b.ports.values()]);
    if (port.kind === 'netdev') {
      const here = all.filter((p) => p.kind === 'netdev' || (p.kind === 'tap' && p.netns === null));
      expect(here.filter((p) => 'device' in p && p.device === port.device)).toEqual([]);
    }
    if (isTunnel(port)) {
      const { kind, settings } = port;
      const others = all.filter(isTunnel).filter((p) => p.settings.local === settings.local && p.kind === kind);
      expect(others.filter((p) => p.settings.vni === settings.vni)).toEqual([]);
    }
    if (port.kind === 'vhost-user' || port.kind === 'socket') {
      const paths = all.flatMap((p) => ('socket' in p ? [p.socket, 'remote' in p ? p.remote : null] : []));
      expect(paths).not.toContain(port.socket);
    }
    ports.set(port.name, port);
  }

  state(): unknown {
    return [...this.bridges.values()].map(({ settings, ports }) => stateOf(settings, [...ports.values()])).sort(byName);
  }
}

const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
const stateOf = (settings: BridgeSettings, ports: readonly PortModel[]) => ({
  ...settings,
  ports: [...ports].sort(byName),
});
const wantedState = (bridges: readonly BridgeModel[]) =>
  bridges.map(({ ports, ...settings }) => stateOf(settings, ports)).sort(byName);

/** Documents over few names, so that names, devices and gateways clash and move often. */
const port = fc.oneof(
  fc.record({ name: fc.constantFrom('p', 'q', 'r'), kind: fc.constantFrom('memory' as const, 'null' as const) }),
  fc.record({
    name: fc.constantFrom('p', 'q', 'r'),
    kind: fc.constant('netdev' as const),
    device: fc.constantFrom('t1', 't2'),
    'take-over': fc.boolean(),
  }),
  fc.record({
    name: fc.constantFrom('p', 'q', 'r'),
    kind: fc.constantFrom('vhost-user' as const, 'socket' as const),
    socket: fc.constantFrom('/s1', '/s2'),
    mode: fc.constantFrom('server' as const, 'client' as const),
  }),
  fc.record({
    name: fc.constantFrom('p', 'q', 'r'),
    kind: fc.constant('bond' as const),
    mode: fc.constantFrom('active-backup' as const, 'balance-rr' as const, '802.3ad' as const),
    members: fc.constantFrom(
      [{ kind: 'netdev' as const, device: 't1' }],
      [{ kind: 'netdev' as const, device: 't2', name: 'a' }],
      [
        { kind: 'netdev' as const, device: 't2' },
        { kind: 'socket' as const, socket: '/s1', name: 'a' },
      ],
    ),
    mtu: fc.constantFrom(1500, 9000),
  }),
  fc.record({
    name: fc.constantFrom('p', 'q', 'r'),
    kind: fc.constantFrom('vxlan' as const, 'geneve' as const),
    vni: fc.constantFrom(7, 8),
    local: fc.constantFrom('192.0.2.1', '192.0.2.2'),
    remotes: fc.constantFrom(['192.0.2.8'], ['192.0.2.8', '192.0.2.9']),
    suppress: fc.boolean(),
  }),
  fc.record(
    {
      name: fc.constantFrom('p', 'q', 'r'),
      kind: fc.constant('tap' as const),
      device: fc.constantFrom('t1', 't2', 't3'),
      netns: fc.constantFrom('x', 'y'),
      vlan: fc.constantFrom({ tag: 1 }, { tag: 2 }, { trunks: [1, '3-5'] }),
      mtu: fc.constantFrom(1500, 9000),
      address: fc.constantFrom('10.0.0.1/24', '10.0.0.2/24'),
      gateway: fc.constantFrom('10.0.0.254', '10.0.0.253'),
      learning: fc.boolean(),
    },
    { requiredKeys: ['name', 'kind', 'device', 'address'] },
  ),
);
const documents: fc.Arbitrary<Document> = fc
  .array(
    fc.record({
      name: fc.constantFrom('a', 'b', 'c'),
      ageing: fc.constantFrom(0, 300),
      ports: fc.array(port, { maxLength: 4 }),
    }),
    { maxLength: 3 },
  )
  .map((bridges) => ({ bridges }) as Document)
  .filter((document) => {
    try {
      return validateDocument(document) === document;
    } catch {
      return false;
    }
  });

describe('plan, for any two documents', () => {
  const seed = seedFor('plan for any two documents');
  it('is empty from a model to itself', () => {
    fc.assert(
      fc.property(documents, (a) => {
        expect(plan(fromDocument(a), fromDocument(structuredClone(a)))).toEqual({ actions: [], warnings: [] });
      }),
      { seed },
    );
  });

  it('turns one into the other, never taking a name, device or gateway that is not free', () => {
    fc.assert(
      fc.property(documents, documents, (a, b) => {
        const toy = new ToySwitch();
        for (const action of plan(null, fromDocument(a)).actions) toy.run(action);
        expect(toy.state()).toEqual(wantedState(fromDocument(a).bridges));
        for (const action of plan(fromDocument(a), fromDocument(b)).actions) toy.run(action);
        expect(toy.state()).toEqual(wantedState(fromDocument(b).bridges));
      }),
      { seed, numRuns: 300 },
    );
  });

  it('deletes first, adds last', () => {
    const rank = (action: Action) =>
      ['delete-port', 'delete-bridge', 'add-bridge', 'change-bridge', 'change-port', 'add-port'].indexOf(action.type);
    fc.assert(
      fc.property(documents, documents, (a, b) => {
        const ranks = plan(fromDocument(a), fromDocument(b)).actions.map(rank);
        expect(ranks).toEqual([...ranks].sort((x, y) => x - y));
      }),
      { seed },
    );
  });
});

describe('what a plan says', () => {
  it('of a first start', () => {
    expect(steps(null, onePort('{ name: web, kind: tap, netns: w, address: 10.0.0.1/24, vlan: { tag: 10 } }'))).toEqual(
      ['add br0: bridge, fdb-limit 65536, ageing 300', 'add br0/web: tap web in namespace w, 10.0.0.1/24, access 10'],
    );
  });

  it('of changes that ports forward through', () => {
    const before = onePort('{ name: web, kind: tap, vlan: { tag: 10 } }');
    const after = onePort(
      '{ name: web, kind: tap, mtu: 9000, flood: { unknown: false }, forward-reserved: [01-80-C2-00-00-0E], fdb: [{ mac: 02-00-00-00-00-01 }] }',
    );
    expect(steps(before, after)).toEqual([
      'change br0/web: vlan access 10 → trunk all; mtu 1500 → 9000; flood all → multicast, broadcast; ' +
        'forward-reserved none → -0E; fdb 0 entries → 1 entries',
    ]);
  });

  it('of a port that has to be made again', () => {
    expect(steps(onePort('{ name: w, kind: tap, netns: a }'), onePort('{ name: w, kind: tap, netns: b }'))).toEqual([
      'delete br0/w: to make it again: netns a → b',
      'add br0/w: tap w in namespace b, trunk all',
    ]);
    expect(steps(onePort('{ name: w, kind: tap }'), onePort('{ name: w, kind: memory }'))[0]).toBe(
      'delete br0/w: to make it again: kind tap → memory',
    );
  });

  it('of a bridge that goes, with its ports before it', () => {
    expect(steps(onePort('{ name: w, kind: memory }'), model('bridges: []'))).toEqual([
      'delete br0/w: memory, trunk all',
      'delete br0: bridge',
    ]);
  });

  it('of a bridge’s own settings', () => {
    expect(steps(onePort(''), model('bridges: [{ name: br0, ageing: 0, forward-reserved: true }]'))).toEqual([
      'change br0: ageing 300 → never; forward-reserved none → all',
    ]);
  });

  it('of what needs a restart: a warning, and nothing at a first start', () => {
    const before = onePort('', ', workers: { cpus: [0] }');
    const after = onePort('', ', workers: { count: 2, idle: busy }, metrics: false, api: { socket: /run/x }');
    expect(plan(before, after).warnings).toEqual([
      'workers.count: 1 → 2 takes effect when weft is started again',
      'workers.cpus: 0 → any takes effect when weft is started again',
      'api.socket: default → /run/x takes effect when weft is started again',
      'metrics.listen: 127.0.0.1:9475 → off takes effect when weft is started again',
    ]);
    expect(steps(before, after)[0]).toBe('change workers.idle: adaptive → busy');
    expect(plan(null, after).warnings).toEqual([]);
  });

  it('of 1,000 ports of which one changes: one step', () => {
    const many = (mtu: number) =>
      fromDocument({
        bridges: [
          {
            name: 'b',
            ports: Array.from({ length: 1000 }, (_, i) => ({ name: `p${i}`, kind: 'tap', mtu: i === 7 ? mtu : 1500 })),
          },
        ],
      });
    expect(steps(many(1500), many(9000))).toEqual(['change b/p7: mtu 1500 → 9000']);
  });
});

describe('what an apply undoes', () => {
  const saved = onePort('{ name: p, kind: memory }, { name: q, kind: memory }');
  it('is what commands changed and the document has otherwise', () => {
    const running = onePort('{ name: p, kind: memory, mtu: 9000 }, { name: n, kind: memory }');
    expect(undoes(saved, running, saved)).toEqual([
      'br0/q: deleted: memory, trunk all',
      'br0/p: mtu 1500 → 9000',
      'br0/n: added: memory, trunk all',
    ]);
  });

  it('is nothing where the document agrees with the commands, or no command was given', () => {
    const running = onePort('{ name: p, kind: memory, mtu: 9000 }, { name: q, kind: memory }');
    expect(undoes(saved, running, running)).toEqual([]);
    expect(undoes(saved, saved, running)).toEqual([]);
  });
});

describe('ports for guests', () => {
  const vm = (more: string) => onePort(`{ name: vm, kind: vhost-user, socket: /run/vm.sock${more} }`);
  it.each([
    [', queues: 2', 'queues as many as workers → 2'],
    [', mode: client', 'mode server → client'],
  ])('are made again for%s', (more, why) => {
    expect(steps(vm(''), vm(more))[0]).toBe(`delete br0/vm: to make it again: ${why}`);
  });

  it('change MTU and VLAN while they forward, and don’t follow a number of workers that is not there yet', () => {
    expect(steps(vm(''), vm(', mtu: 9000, vlan: { tag: 10 }'))).toEqual([
      'change br0/vm: vlan trunk all → access 10; mtu 1500 → 9000',
    ]);
    const workers = 'workers: { count: 2 }';
    const more = onePort('{ name: vm, kind: vhost-user, socket: /run/vm.sock }', `, ${workers}`);
    expect(plan(vm(''), more).actions.map(({ type }) => type)).toEqual(['restart-needed']);
  });

  it('say where they meet their guest', () => {
    const added = (port: string) => steps(onePort('{ name: x, kind: memory }'), onePort(port)).at(-1);
    expect(added('{ name: a, kind: vhost-user, socket: /a, mode: client }')).toBe(
      'add br0/a: vhost-user client at /a, trunk all',
    );
    expect(added('{ name: host, kind: tap, device: h0 }, { name: b, kind: netdev, device: e1, take-over: true }')).toBe(
      'add br0/b: netdev e1, taken over by h0, trunk all',
    );
    expect(added('{ name: c, kind: socket, socket: /c }')).toBe('add br0/c: socket stream server at /c, trunk all');
    expect(
      steps(
        onePort('{ name: v, kind: vhost-user, socket: /v }'),
        onePort('{ name: v, kind: vhost-user, socket: /v, group: kvm }'),
      ),
    ).toEqual([
      'delete br0/v: to make it again: group none → kvm',
      'add br0/v: vhost-user server at /v for group kvm, trunk all',
    ]);
    expect(added('{ name: d, kind: socket, socket: /d, type: dgram, remote: /r }')).toBe(
      'add br0/d: socket dgram to /r at /d, trunk all',
    );
  });
});

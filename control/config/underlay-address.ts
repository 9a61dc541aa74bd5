/**
 * Addresses of tunnels in the network that carries them: which can be a machine's, which a group's, and one spelling for each. Called by
 * the checks of tunnels; pure. What is no address at all, which the schema tells, is null here.
 */
import { BlockList, isIP } from 'node:net';
import { normalAddress } from '../model/tunnel-document.ts';

export interface UnderlayAddress {
  /** As everybody writes it (RFC 5952). */
  readonly text: string;
  readonly family: 4 | 6;
  readonly group: boolean;
  readonly loopback: boolean;
  /** Why no machine can have it, beside that it is a group's; null: one can. */
  readonly wrong: string | null;
}

function listOf(...networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address, prefix] = network.split('/') as [string, string];
    list.addSubnet(address, Number(prefix), address.includes(':') ? 'ipv6' : 'ipv4');
  }
  return list;
}

const GROUPS = listOf('224.0.0.0/4', 'ff00::/8');
const LOOPBACK = listOf('127.0.0.0/8', '::1/128');
const NOBODY = listOf('0.0.0.0/8', '::/128');
const RESERVED = listOf('240.0.0.0/4');
const MAPPED = listOf('::ffff:0:0/96');
const LINK_LOCAL = listOf('fe80::/10');

function wrongOf(text: string, family: 'ipv4' | 'ipv6'): string | null {
  if (text === '255.255.255.255') return 'is the broadcast address';
  if (NOBODY.check(text, family)) return 'is no machine’s address';
  if (family === 'ipv4') return RESERVED.check(text, family) ? 'is reserved (240.0.0.0/4)' : null;
  if (MAPPED.check(text, family)) return 'is an IPv4 address in IPv6’s form: write it as IPv4';
  return LINK_LOCAL.check(text, family) ? 'is link-local: tunnels need an address that is routed' : null;
}

export function underlayAddress(value: unknown): UnderlayAddress | null {
  if (typeof value !== 'string' || value.includes('%') || isIP(value) === 0) return null;
  const text = normalAddress(value);
  const family = isIP(value) === 4 ? 4 : 6;
  const name = family === 4 ? 'ipv4' : 'ipv6';
  // BlockList takes a mapped address for the IPv4 address in it.
  const mapped = family === 6 && MAPPED.check(text, name);
  return {
    text,
    family,
    group: !mapped && GROUPS.check(text, name),
    loopback: !mapped && LOOPBACK.check(text, name),
    wrong: wrongOf(text, name),
  };
}

/** What a tunnel's sockets that can't be opened mean, as the reason why its port is down. Called by endpoints.ts and senders.ts. */
import type { TunnelKind } from '../../native/binding.ts';

interface Subject {
  readonly kind: TunnelKind;
  readonly local: string;
}

/** A sentence without a full stop. */
export function openFailure(error: unknown, { kind, local }: Subject): string {
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'EADDRNOTAVAIL':
      return `no interface has the address ${local}`;
    case 'EPERM':
    case 'EACCES':
      return `its sockets can't be opened: ${kind === 'gre' ? 'GRE needs CAP_NET_RAW' : 'the system does not allow it'}`;
    case 'EAFNOSUPPORT':
      return `this system has no IPv${local.includes(':') ? 6 : 4}`;
    default:
      return `its sockets can't be opened: ${message}`;
  }
}

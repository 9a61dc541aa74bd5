/** The addon's calls for echo requests that nobody on the way may fragment: `weft doctor mtu` asks paths by them. Main thread. */

export interface EchoNotice {
  readonly sequence: number;
  /** 0: the answer. Else the errno of an ICMP error about the request. */
  readonly error: number;
  /** With EMSGSIZE the MTU that a router told; else 0. */
  readonly mtu: number;
  /** Who says it: the remote, or a router. */
  readonly address: string;
}

export interface EchoCalls {
  /** A descriptor for `watch` and `closeDescriptor` that sends from an IPv4 or IPv6 address of this machine. Throws EPERM, EADDRNOTAVAIL. */
  openEcho(local: string): number;
  /**
   * Sends a request whose IP packet has so many bytes (50–65,535), whatever the kernel believes of the path. 0, or −errno: −EMSGSIZE when
   * our own device takes less. `id` and `sequence` are of 16 bits; the id tells our answers from those to others.
   */
  sendEcho(fd: number, remote: string, id: number, sequence: number, bytes: number): number;
  /** What came since. */
  readEchoes(fd: number, id: number): EchoNotice[];
}

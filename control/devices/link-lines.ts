/**
 * The lines of `ip -o monitor link nsid all-nsid` as values. Called by link-watch.ts; pure.
 * Such a line: `[nsid 0]50: eth0: <BROADCAST,UP,LOWER_UP> mtu 9000 qdisc … state UP … \    link/ether 02:… brd ff:…`
 */

export interface LinkLine {
  readonly type: 'link';
  /** The kernel's number of the namespace, null for the monitor's own. */
  readonly nsid: number | null;
  readonly gone: boolean;
  readonly index: number;
  readonly name: string;
  readonly adminUp: boolean;
  readonly carrier: boolean;
  readonly mtu: number;
}

export interface NetnsLine {
  readonly type: 'netns';
  readonly gone: boolean;
  readonly nsid: number;
}

const PREFIX = /^\[nsid (current|-?\d+)\]/;
const NETNS = /^(Deleted )?nsid (\d+)/;
/** A name may hold `@` and `:` only as the kernel's `name@parent`; the flags end what matters. */
const LINK = /^(Deleted )?(\d+): ([^\s:@]+)(?:@\S+)?: <([^>]*)>(?: mtu (\d+))?/;

/** null for what is none of our business: other objects, continuation lines, noise. */
export function parseMonitorLine(text: string): LinkLine | NetnsLine | null {
  const prefix = PREFIX.exec(text);
  const rest = prefix === null ? text : text.slice(prefix[0].length).trimStart();
  const nsid = prefix === null || prefix[1] === 'current' ? null : Number(prefix[1]);
  const netns = NETNS.exec(rest);
  if (netns !== null) return { type: 'netns', gone: netns[1] !== undefined, nsid: Number(netns[2]) };
  const link = LINK.exec(rest);
  if (link === null) return null;
  const flags = link[4]!.split(',');
  return {
    type: 'link',
    nsid,
    gone: link[1] !== undefined,
    index: Number(link[2]),
    name: link[3]!,
    adminUp: flags.includes('UP'),
    carrier: flags.includes('LOWER_UP'),
    mtu: Number(link[5] ?? 0),
  };
}

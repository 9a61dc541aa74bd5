/**
 * The unix sockets of a document: each path belongs to one port or member, or to the API; and which keys of such ports go together. Called by
 * checks.ts; pure.
 */
import { posix } from 'node:path';
import { FirstUse } from './first-use.ts';
import { leavesOf, type MemberOutline, type Outline, textOf } from './outline.ts';
import { type PlacedProblem, problemAt } from './problems.ts';

/** Where the API of root's daemon is when no document says otherwise. */
const DEFAULT_API_SOCKET = '/run/weft/weft.sock';

/** Streams are connected by one side; datagrams have an address on each. */
function checkType({ raw, path }: MemberOutline, problems: PlacedProblem[]): void {
  if (raw.type === 'dgram') {
    if (raw.remote === undefined)
      problems.push(problemAt([...path, 'remote'], 'is missing: type dgram needs the guest’s path beside ours'));
    if (raw.mode !== undefined)
      problems.push(
        problemAt([...path, 'mode'], 'type dgram does not know this key: nobody listens, both have a path'),
      );
  } else if (raw.remote !== undefined && (raw.type === undefined || raw.type === 'stream')) {
    problems.push(problemAt([...path, 'remote'], 'type stream does not know this key (type dgram does)'));
  }
}

/** Only a file that weft makes can be given to a group. */
function checkGroup({ raw, path }: MemberOutline, problems: PlacedProblem[]): void {
  if (raw.group === undefined || raw.mode !== 'client') return;
  problems.push(problemAt([...path, 'group'], 'mode client does not know this key: the guest makes the socket'));
}

/** No two ports can have one socket: only one of them would ever meet its guest. */
export function checkSockets(outline: Outline, problems: PlacedProblem[]): void {
  const paths = new FirstUse(problems);
  const api = textOf(outline.api.socket);
  paths.use(posix.normalize(api ?? DEFAULT_API_SOCKET), ['api', 'socket'], 'the socket');
  for (const port of leavesOf(outline.ports)) {
    if (port.kind !== 'vhost-user' && port.kind !== 'socket') continue;
    for (const key of ['socket', 'remote']) {
      const path = textOf(port.raw[key]);
      if (path !== null) paths.use(posix.normalize(path), [...port.path, key], `the socket ${path}`);
    }
    checkGroup(port, problems);
    if (port.kind === 'socket') checkType(port, problems);
  }
}

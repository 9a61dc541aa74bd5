/** Groups of this machine, and files that are theirs. Called where sockets are made, on the main thread. */
import { chmodSync, chownSync, readFileSync } from 'node:fs';
import { DeviceError } from './errors.ts';

const OWNER_AND_GROUP = 0o660;

/** The id of a group by /etc/group, or null. */
export function groupId(name: string): number | null {
  try {
    const line = readFileSync('/etc/group', 'utf8')
      .split('\n')
      .find((entry) => entry.startsWith(`${name}:`));
    const id = Number(line?.split(':')[2]);
    return line !== undefined && Number.isInteger(id) ? id : null;
  } catch {
    return null;
  }
}

/** The id of a group that a port names. `subject` begins messages: `br0/vm1`. Throws a DeviceError. */
export function knownGroup(subject: string, name: string): number {
  const id = groupId(name);
  if (id !== null) return id;
  const text = `${subject}: there is no group "${name}" in /etc/group`;
  throw new DeviceError('no-group', text, 'Make it (groupadd --system), or name one that QEMU’s user is in (kvm).');
}

/** Lets a group read and write a file that was made for its owner alone. Throws what the system says. */
export function giveToGroup(path: string, id: number): void {
  // The group first: never is there a moment in which another group may.
  chownSync(path, -1, id);
  chmodSync(path, OWNER_AND_GROUP);
}

/** The same for a port's socket. Throws a DeviceError. */
export function giveSocket(subject: string, path: string, name: string, id: number): void {
  try {
    giveToGroup(path, id);
  } catch (error) {
    const text = `${subject}: weft can't give ${path} to the group "${name}": ${(error as Error).message}`;
    throw new DeviceError('socket-group', text, 'Run weft as root (CAP_CHOWN), or as a user in that group.', error);
  }
}

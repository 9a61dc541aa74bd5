/**
 * What the kernel tells of links and namespaces, at once: rtnetlink sockets of native code on the main thread's own loop. A child's pipe in
 * between (`ip monitor`) cost half of the time, and beside busy cores a scheduler's round. Started by link-watch.ts.
 *
 * Two sockets: a namespace that has a number in itself is told by its own messages too, which is no reason to take them for another's.
 */
import { addon, type LinkNotice, type NetnsNotice } from '../../native/binding.ts';

export type Notice = LinkNotice | NetnsNotice;

/** A running monitor: notices until it ends. */
export interface Monitor {
  /** Ends it; nothing follows. */
  stop(): void;
}

/** Hears all that happens after it returned. `onEnd`: something was lost and it hears no more; only a look shows what. Throws when it can't start. */
export type StartMonitor = (onNotice: (notice: Notice) => void, onEnd: (reason: string) => void) => Monitor;

/** Who may hear all namespaces does; an ordinary user, who has no devices elsewhere, hears his own. */
export const startLinkMonitor: StartMonitor = (onNotice, onEnd) => {
  const parts: Monitor[] = [];
  const stop = () => {
    for (const part of parts.splice(0)) part.stop();
  };
  const end = (error: Error) => {
    stop();
    onEnd(error.message);
  };
  try {
    parts.push(listen(false, onNotice, end));
    parts.push(listen(true, onNotice, end));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EPERM') return { stop };
    stop();
    throw error;
  }
  return { stop };
};

/** One socket: of the own namespace, or of those that have a number. */
function listen(numbered: boolean, onNotice: (notice: Notice) => void, onError: (error: Error) => void): Monitor {
  const native = addon();
  const fd = native.openLinkMonitor(numbered);
  let stopped = false;
  const read = (): void => {
    let notices: Notice[];
    try {
      notices = native.readLinkMonitor(fd, numbered);
    } catch (error) {
      onError(error as Error);
      return;
    }
    for (const notice of notices) if (!stopped) onNotice(notice);
  };
  try {
    const watching = native.watch(fd, 'read', read);
    return {
      stop: () => {
        stopped = true;
        watching.close();
        native.closeDescriptor(fd);
      },
    };
  } catch (error) {
    native.closeDescriptor(fd);
    throw error;
  }
}

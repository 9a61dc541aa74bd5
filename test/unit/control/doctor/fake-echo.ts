/** Paths that a test makes up, asked by echo requests. Never used outside tests. */
import type { Echo, EchoOutcome } from '../../../../control/doctor/echo.ts';

export interface FakePath {
  /** Bytes of the longest packet that gets through; longer ones vanish. */
  readonly takes?: number;
  /** A router's MTU, which it tells, and who it is. */
  readonly told?: { readonly mtu: number; readonly by: string };
  /** What our own device takes. */
  readonly own?: number;
  /** Nobody answers, whatever the length. */
  readonly silent?: boolean;
  /** There is no way. */
  readonly refused?: { readonly code: string; readonly by: string | null };
  /** Of so many requests the first vanish, whatever their length. */
  readonly loses?: number;
}

export interface FakeEcho extends Echo {
  readonly asked: { readonly remote: string; readonly bytes: number; readonly waitMs: number }[];
  closed: boolean;
}

function outcomeOf(path: FakePath, bytes: number): EchoOutcome {
  if (path.refused !== undefined) return { type: 'refused', mtu: 0, ...path.refused };
  if (path.own !== undefined && bytes > path.own) return { type: 'refused', code: 'EMSGSIZE', mtu: 0, by: null };
  if (path.silent === true) return { type: 'silent' };
  if (path.told !== undefined && bytes > path.told.mtu) return { type: 'refused', code: 'EMSGSIZE', ...path.told };
  if (path.takes !== undefined && bytes > path.takes) return { type: 'silent' };
  return { type: 'answered', ms: 2 };
}

/** Paths by remote; any other takes everything. */
export function fakeEcho(paths: Readonly<Record<string, FakePath>>): FakeEcho {
  const lost = new Map<string, number>();
  const echo: FakeEcho = {
    asked: [],
    closed: false,
    async ask(remote, bytes, waitMs) {
      echo.asked.push({ remote, bytes, waitMs });
      await new Promise(setImmediate);
      const path = paths[remote] ?? {};
      const already = lost.get(remote) ?? 0;
      if (already >= (path.loses ?? 0)) return outcomeOf(path, bytes);
      lost.set(remote, already + 1);
      return { type: 'silent' };
    },
    close() {
      echo.closed = true;
    },
  };
  return echo;
}

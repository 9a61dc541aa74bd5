/** The systemd unit: accepted by systemd's own check, and open where the switch needs it. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { findTool, itNeeds } from '../../needs.ts';
import { UNIT_FILE } from './questions.ts';

const ANALYZE = { because: findTool('systemd-analyze') === null ? 'this host has no systemd-analyze' : null };

/** Values by key; what is given twice is joined. */
function settings(): Map<string, string> {
  const found = new Map<string, string>();
  for (const [, key, value] of readFileSync(UNIT_FILE, 'utf8').matchAll(/^(\w+)=(.*)$/gm)) {
    found.set(key!, found.has(key!) ? `${found.get(key!)} ${value}` : value!);
  }
  return found;
}

describe('weft.service', () => {
  it('starts, reloads and ends the daemon as it expects', () => {
    const unit = settings();
    expect(unit.get('ExecStart')).toMatch(/dist\/control\/cli\/main\.js run -c \S+ --keep-devices$/);
    expect(unit.get('ExecReload')).toMatch(/kill -HUP \$MAINPID$/);
    expect(unit.get('KillSignal')).toBe('SIGTERM');
    expect(unit.get('RuntimeDirectory')).toBe('weft');
  });

  it('leaves it what forwarding needs', () => {
    const unit = settings();
    for (const capability of ['CAP_NET_ADMIN', 'CAP_SYS_ADMIN', 'CAP_NET_BROADCAST', 'CAP_IPC_LOCK'])
      expect(unit.get('CapabilityBoundingSet')).toContain(capability);
    expect(unit.get('DeviceAllow')).toBe('/dev/net/tun rw');
    expect(unit.get('RestrictNamespaces')?.split(' ')).toContain('net');
    expect(Number(unit.get('LimitNOFILE'))).toBeGreaterThan(100_000);
    // V8 writes code; TAPs are devices; namespaces are the host's.
    for (const key of ['MemoryDenyWriteExecute', 'PrivateDevices', 'PrivateNetwork', 'PrivateUsers'])
      expect(unit.get(key) ?? 'no', key).toBe('no');
    // A list of allowed calls would have to name io_uring's.
    expect(unit.get('SystemCallFilter')).toMatch(/^~/);
  });

  itNeeds(ANALYZE, '`systemd-analyze verify` has nothing to say', () => {
    const done = spawnSync('systemd-analyze', ['verify', '--man=no', UNIT_FILE], { encoding: 'utf8' });
    expect(done.stdout + done.stderr).toBe('');
    expect(done.status).toBe(0);
  });
});

// DPDK's own testpmd as a patch cable between two guests: whatever comes in on one side goes out on the other. No address is learned or
// looked up, so this isn't a switch; it shows what carrying frames costs by itself.
import { Daemon, missingCommand } from '../system/process.ts';
import { type GuestSwitch, SWITCH_CPU } from './guest-switch.ts';

const MEMORY_MB = 512;

export const dpdkPatch: GuestSwitch = {
  name: 'dpdk-patch',
  about: "DPDK's testpmd as a patch cable: no learning, no lookup",
  hugePages: MEMORY_MB / 2,
  frameBytesMax: 1518,
  available: async () => missingCommand(['dpdk-testpmd'], 'dpdk-dev'),
  join: async (place, sockets) => {
    if (sockets.length !== 2) throw new Error('a patch cable has two ends');
    const lcores = `0@${SWITCH_CPU},1@${SWITCH_CPU}`;
    const own = ['--lcores', lcores, '--no-pci', '--in-memory', '--no-telemetry', '-m', String(MEMORY_MB)];
    const devices = sockets.flatMap((socket, index) => ['--vdev', `net_vhost${index},iface=${socket},client=1`]);
    const forward = ['--forward-mode=io', '--nb-cores=1', '--txd=1024', '--rxd=1024'];
    const prefix = `--file-prefix=${place.prefix}p`;
    const patch = new Daemon(['dpdk-testpmd', ...own, prefix, ...devices, '--', ...forward], place.cleanup);
    // The whole output comes late, in blocks; that prompt is written at once.
    await patch.until(/Press enter to exit/, 30);
    return { pid: patch.pid, stop: () => patch.stop() };
  },
};

#!/usr/bin/env python3
"""Makes lacp.json again: needs root, iproute2, tcpdump, tshark, Open vSwitch and scapy.

Run as  unshare --net --mount-proc --fork --pid /usr/bin/python3 test/golden/make_lacp.py  (namespaces of its own; nothing outside is touched).
Two bonds of Open vSwitch's userspace datapath speak LACP over a pair of veths, with keys, priorities and port numbers set on purpose; then
one link is cut, so that the other side shows how it expires and defaults. Markers come from scapy. tshark says what is in them.
"""
import os, subprocess, sys, tempfile, time

sys.dont_write_bytecode = True
import make
from make import FIELDS, frames_of, run, write

ENDS = 'sys_priority sysid key port_priority port state.activity state.timeout state.aggregation state.synchronization state.collecting state.distributing state.defaulted state.expired'
FIELDS[:] = (
    'frame.len eth.dst eth.src eth.type slow.subtype lacp.version lacp.collector.max_delay'.split()
    + [f'lacp.{side}.{field}' for side in ('actor', 'partner') for field in ENDS.split()]
    + 'marker.version marker.tlvType marker.requesterPort marker.requesterSystem marker.requesterTransId'.split()
)
SECONDS = 8


def start(directory):
    for name in ('RUNDIR', 'DBDIR', 'LOGDIR', 'SYSCONFDIR'):
        os.environ[f'OVS_{name}'] = directory
    quiet = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}
    run(f'ovsdb-tool create {directory}/conf.db /usr/share/openvswitch/vswitch.ovsschema')
    database = subprocess.Popen(['ovsdb-server', f'--remote=punix:{directory}/db.sock', f'{directory}/conf.db'], **quiet)
    time.sleep(1)
    run('ovs-vsctl --no-wait init')
    switch = subprocess.Popen(['ovs-vswitchd', f'unix:{directory}/db.sock'], **quiet)
    return [switch, database]


def bonds(name, first, time_, system, mode):
    """One bridge with a bond over two veths, whose ends have keys, priorities and numbers of their own."""
    ports = [f'{name}{n}' for n in (1, 2)]
    run(f'ovs-vsctl add-br br{name} -- set bridge br{name} datapath_type=netdev other-config:hwaddr={system}')
    run(f'ovs-vsctl add-bond br{name} bond{name} {" ".join(ports)} lacp={mode} bond_mode=balance-tcp'
        f' other_config:lacp-time={time_} other_config:lacp-system-id={system} other_config:lacp-system-priority={first}')
    for n, port in enumerate(ports, 1):
        run(f'ovs-vsctl set interface {port} other_config:lacp-port-id={first + n} other_config:lacp-port-priority={first * 2 + n}'
            f' other_config:lacp-aggregation-key={first * 3}')


def lacp(directory):
    for n in (1, 2):
        run(f'ip link add a{n} address 02:00:00:00:0a:0{n} type veth peer name b{n} address 02:00:00:00:0b:0{n}')
        run(f'ip link set a{n} up && ip link set b{n} up')
    pcap = f'{directory}/lacp.pcap'
    dump = subprocess.Popen(['tcpdump', '-i', 'a1', '-U', '--immediate-mode', '-w', pcap, 'ether', 'proto', '0x8809'],
                            stderr=subprocess.DEVNULL)
    daemons = start(directory)
    time.sleep(1)
    bonds('a', 1000, 'fast', '02:00:00:00:aa:aa', 'active')
    bonds('b', 7000, 'slow', '02:00:00:00:bb:bb', 'passive')
    time.sleep(SECONDS)
    # Side b falls silent.
    run('ovs-vsctl del-port brb bondb')
    time.sleep(SECONDS)
    for process in [dump, *daemons]:
        process.terminate()
        process.wait()
    frames, seen = [], set()
    for raw, fields in frames_of(pcap):
        if raw in seen:
            continue
        seen.add(raw)
        frames.append({'name': f'{len(frames)}-lacpdu-of-{"a" if "aa:aa" in fields["lacp.actor.sysid"] else "b"}', 'hex': raw, 'tshark': fields})
    return frames


def markers(directory):
    from scapy.all import Ether, wrpcap
    from scapy.contrib.lacp import MarkerProtocol, SlowProtocol
    link = Ether(dst='01:80:c2:00:00:02', src='02:00:00:00:0a:01', type=0x8809)
    kinds = {'marker-request': 1, 'marker-response': 2}
    pcap = f'{directory}/marker.pcap'
    wrpcap(pcap, [
        link / SlowProtocol() / MarkerProtocol(
            marker_type=kind, requester_port=1001, requester_system='02:00:00:00:aa:aa', requester_transaction_id=0xFEDCBA98)
        for kind in kinds.values()
    ])
    return [{'name': name, 'hex': raw, 'tshark': fields} for name, (raw, fields) in zip(kinds, frames_of(pcap))]


if __name__ == '__main__':
    run('ip link set lo up')
    with tempfile.TemporaryDirectory() as directory:
        frames = lacp(directory) + markers(directory)
        version = run('ovs-vswitchd --version').splitlines()[0]
        write('lacp.json', f'{version}, userspace datapath, two bonds over a pair of veths; markers by scapy', frames)

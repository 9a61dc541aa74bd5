#!/usr/bin/env python3
"""Makes tunnel.json again: what the Linux kernel's VXLAN and bridge answer in place of hosts behind a tunnel. Needs root, iproute2,
iputils-ping, tcpdump, tshark.

Run as  unshare --net python3 test/golden/make_tunnel.py  (a network namespace of its own; nothing outside is touched).
Frames that are too long for the underlay (1,450 bytes) are answered by vxlan (skb_tunnel_check_pmtu); ARP and neighbour solicitations by the
bridge (neigh_suppress). Expected values come from tshark's dissection: nothing here knows how Weft encodes anything.
"""
import os, subprocess, tempfile, time

from make import FIELDS, HERE, NEAR, FAR, frames_of, run, write

FIELDS += '''icmp.mtu icmpv6.mtu icmpv6.nd.na.target_address icmpv6.nd.na.flag.r icmpv6.nd.na.flag.s icmpv6.nd.na.flag.o
icmpv6.nd.ns.target_address icmpv6.opt.linkaddr icmpv6.opt.type'''.split()
THERE = '02:00:00:00:00:09'


def tunnel(directory):
    pid = subprocess.Popen(['unshare', '--net', 'sleep', '60'])
    time.sleep(0.3)
    far = f'nsenter --net=/proc/{pid.pid}/ns/net'
    run(f'ip link add near address {NEAR} type veth peer name far address {FAR} netns {pid.pid}')
    run('ip link add under mtu 1450 type veth peer name beyond mtu 1450 && ip link set under up && ip link set beyond up && ip addr add 192.0.2.1/24 dev under')
    run('ip link add tun type vxlan id 7 local 192.0.2.1 remote 192.0.2.9 dstport 4789 df set && ip link set tun mtu 1500 up')
    run('ip link add name brg address 02:00:00:00:00:77 type bridge mcast_snooping 0 && ip link set near master brg && ip link set tun master brg')
    run('sysctl -w net.ipv6.conf.near.disable_ipv6=1 net.ipv6.conf.tun.disable_ipv6=1')
    run('ip link set brg up mtu 1500 && ip link set near up')
    run('bridge link set dev tun neigh_suppress on learning off')
    run(f'bridge fdb add {THERE} dev tun master static; bridge fdb append {THERE} dev tun self dst 192.0.2.9')
    for address in ('198.51.100.9', '2001:db8::9'):
        run(f'ip neigh add {address} lladdr {THERE} dev brg nud permanent')
    run(f'{far} sysctl -w net.ipv6.conf.far.router_solicitations=0 && {far} ip link set far up mtu 1500')
    run(f'{far} ip addr add 198.51.100.2/24 dev far && {far} ip addr add 2001:db8::2/64 dev far nodad')
    time.sleep(1)
    pcap = f'{directory}/tunnel.pcap'
    dump = subprocess.Popen(['tcpdump', '-i', 'near', '-U', '--immediate-mode', '-w', pcap], stderr=subprocess.DEVNULL)
    time.sleep(1)
    for family, address, payload in ((4, '198.51.100.9', 1472), (6, '2001:db8::9', 1452)):
        run(f'{far} ping -{family} -c 1 -W 1 -M do -s {payload} {address} || true')
    time.sleep(0.5)
    dump.terminate()
    dump.wait()
    pid.terminate()
    pid.wait()
    frames = []
    names = {'arp.opcode 1': 'arp-request', 'arp.opcode 2': 'arp-reply', 'icmpv6.type 135': 'solicitation',
             'icmpv6.type 136': 'advertisement', 'icmp.type 8': 'long4', 'icmp.type 3': 'fragmentation-needed',
             'icmpv6.type 128': 'long6', 'icmpv6.type 2': 'packet-too-big'}
    for raw, fields in frames_of(pcap):
        kind = next((f'{field} {fields[field]}' for field in ('arp.opcode', 'icmp.type', 'icmpv6.type') if field in fields), None)
        if fields['eth.src'] in (FAR, THERE) and kind in names:
            frames.append({'name': names[kind], 'hex': raw, 'tshark': fields})
    write('tunnel.json', f'Linux {os.uname().release}: a bridge with a VXLAN port, read by tcpdump', frames)


if __name__ == '__main__':
    with tempfile.TemporaryDirectory() as scratch:
        tunnel(scratch)

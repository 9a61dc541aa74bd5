#!/usr/bin/env python3
"""Makes the golden frames again: needs root, iproute2, ethtool, iputils-ping, tcpdump, netsniff-ng, tshark.

Run as  unshare --net python3 test/golden/make.py  (a network namespace of its own; nothing outside is touched).
Frames come from the Linux stack and from trafgen, expected values from tshark's dissection: nothing here knows
how Weft encodes anything. Addresses are fixed; sequence numbers, ports and identifications change with every run.
"""
import fcntl, json, os, socket, struct, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
NEAR, FAR = '02:00:00:00:00:01', '02:00:00:00:00:02'
FIELDS = '''frame.len eth.dst eth.src eth.type vlan.etype ieee8021ad.id ieee8021ad.priority ieee8021ad.dei vlan.id vlan.priority vlan.dei
arp.opcode arp.src.hw_mac arp.src.proto_ipv4 arp.dst.hw_mac arp.dst.proto_ipv4
ip.hdr_len ip.dsfield ip.len ip.id ip.flags.df ip.flags.mf ip.frag_offset ip.ttl ip.proto ip.checksum ip.checksum.status ip.src ip.dst
ipv6.tclass ipv6.flow ipv6.plen ipv6.nxt ipv6.hlim ipv6.src ipv6.dst
icmp.type icmp.code icmp.checksum icmp.checksum.status icmp.ident icmp.seq
icmpv6.type icmpv6.code icmpv6.checksum icmpv6.checksum.status icmpv6.echo.identifier icmpv6.echo.sequence_number
tcp.srcport tcp.dstport tcp.seq_raw tcp.ack_raw tcp.hdr_len tcp.flags tcp.window_size_value tcp.checksum tcp.checksum.status tcp.urgent_pointer tcp.options
udp.srcport udp.dstport udp.length udp.checksum udp.checksum.status'''.split()


def run(command, **more):
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True, **more).stdout


def frames_of(pcap):
    """(hex, fields by tshark) of each frame."""
    prefs = ''.join(f' -o {p}:TRUE' for p in ('ip.check_checksum', 'tcp.check_checksum', 'udp.check_checksum'))
    prefs += ' -o ip.defragment:FALSE'
    wanted = ' '.join(f'-e {f}' for f in FIELDS)
    decoded = json.loads(run(f'tshark -n -r {pcap}{prefs} -T json {wanted}'))
    raw = json.loads(run(f'tshark -n -r {pcap} -T jsonraw -j frame'))
    for one, bits in zip(decoded, raw):
        fields = {name: values[0] for name, values in one['_source']['layers'].items()}
        yield bits['_source']['layers']['frame_raw'][0], fields


def write(name, source, frames):
    path = os.path.join(HERE, name)
    with open(path, 'w') as out:
        json.dump({'source': source, 'frames': frames}, out, indent=2)
        out.write('\n')
    print(f'{path}: {len(frames)} frames')


def trafgen(directory):
    """One frame a configuration: tags and headers with every field set on purpose. trafgen 0.6.8 gives IPv6 a wrong
    EtherType unless told the right one."""
    eth = f'eth(da={FAR}, sa={NEAR})'
    eth6 = f'eth(da={FAR}, sa={NEAR}, type=0x86dd)'
    ip4 = 'ipv4(sa=192.0.2.1, da=192.0.2.2, ttl=37, dscp=46, ecn=1, id=0xbeef, df)'
    ip6 = 'ipv6(sa=2001:db8::1, da=2001:db8::2, tc=0x29, fl=0xabcde, hl=9)'
    udp, tcp = 'udp(sp=49153, dp=4789)', 'tcp(sp=40000, dp=443, seq=0x89abcdef, aseq=0xfedcba98, win=0x1234, ack, psh, urgptr=7)'
    payloads = {
        'untagged-udp4': f'{eth}, {ip4}, {udp}, "weft",',
        'customer-tag-udp4': f'{eth}, vlan(tpid=0x8100, id=10, pcp=5), {ip4}, {udp}, "odd",',
        'service-tag-udp4': f'{eth}, vlan(tpid=0x88a8, id=4094, pcp=7, dei=1), {ip4}, {udp}, "weft",',
        'service-tag-udp6': f'{eth6}, vlan(tpid=0x88a8, id=4094, pcp=7, dei=1), {ip6}, {udp}, "weft",',
        'untagged-udp6': f'{eth6}, {ip6}, {udp}, "weft",',
        'both-tags-tcp4': f'{eth}, vlan(tpid=0x88a8, id=100, pcp=3), vlan(tpid=0x8100, id=20, pcp=1, dei=1), {ip4}, {tcp}, "weft",',
        'priority-tag-tcp4': f'{eth}, vlan(tpid=0x8100, id=0, pcp=6), {ip4}, {tcp}, "odd",',
        'untagged-tcp6': f'{eth6}, {ip6}, {tcp}, "odd",',
    }
    frames = []
    for name, config in payloads.items():
        source, pcap = f'{directory}/{name}.cfg', f'{directory}/{name}.pcap'
        with open(source, 'w') as out:
            out.write('{ ' + config + ' }\n')
        run(f'trafgen --conf {source} --out {pcap} --num 1 --cpus 1')
        (raw, fields), = frames_of(pcap)
        frames.append({'name': name, 'config': config, 'hex': raw, 'tshark': fields})
    write('trafgen.json', run('trafgen --version || true').strip().splitlines()[0].strip(), frames)


def kernel(directory):
    """What the Linux stack sends over a veth without offloads: ARP, echo, fragments, options, TCP, UDP."""
    pid = subprocess.Popen(['unshare', '--net', 'sleep', '60'])
    time.sleep(0.3)
    far = f'nsenter --net=/proc/{pid.pid}/ns/net'
    run(f'ip link add near address {NEAR} type veth peer name far address {FAR} netns {pid.pid}')
    for prefix, name, host in (('', 'near', 1), (far, 'far', 2)):
        run(f'{prefix} ethtool -K {name} tx off tso off gso off gro off')
        run(f'{prefix} ip link set {name} up mtu 1280 && {prefix} ip addr add 192.0.2.{host}/24 dev {name}'
            f' && {prefix} ip addr add 2001:db8::{host}/64 dev {name} nodad')
    pcap = f'{directory}/kernel.pcap'
    dump = subprocess.Popen(['tcpdump', '-i', 'near', '-U', '--immediate-mode', '-w', pcap], stderr=subprocess.DEVNULL)
    time.sleep(1)
    run('ping -c 1 192.0.2.2; ping -6 -c 1 2001:db8::2; ping -c 1 -R -Q 0xb8 192.0.2.2; ping -c 1 -s 1300 192.0.2.2')
    for family, address in ((socket.AF_INET, '192.0.2.2'), (socket.AF_INET6, '2001:db8::2')):
        listener = subprocess.Popen(f'{far} nc {"-6" if family == socket.AF_INET6 else "-4"} -l -p 7777', shell=True,
                                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        time.sleep(0.5)
        stream = socket.create_connection((address, 7777))
        stream.sendall(b'hello weft')
        stream.close()
        listener.wait(5)
        with socket.socket(family, socket.SOCK_DGRAM) as datagram:
            datagram.sendto(b'hello', (address, 9))
    time.sleep(0.5)
    dump.terminate()
    dump.wait()
    pid.terminate()
    pid.wait()
    frames = []
    for raw, fields in frames_of(pcap):
        kind = next((k for k in ('arp', 'icmpv6', 'icmp', 'tcp', 'udp', 'ipv6', 'ip') if any(f.startswith(k + '.') for f in fields)), None)
        if kind:
            frames.append({'name': f'{len(frames)}-{kind}', 'hex': raw, 'tshark': fields})
    write('kernel.json', f'Linux {os.uname().release}: a veth pair with all offloads off, read by tcpdump', frames)


def vnet(directory):
    """virtio-net headers as the kernel writes them: a TAP with offloads on, the far side played by this script."""
    tap = os.open('/dev/net/tun', os.O_RDWR)
    tap_flags, no_pi, vnet_hdr = 0x0002, 0x1000, 0x4000
    fcntl.ioctl(tap, 0x400454CA, struct.pack('16sH22x', b'gold', tap_flags | no_pi | vnet_hdr))
    fcntl.ioctl(tap, 0x400454D8, struct.pack('i', 12))
    offloads = 0x01 | 0x02 | 0x04 | 0x08 | 0x20 | 0x40  # CSUM, TSO4, TSO6, ECN, USO4, USO6
    try:
        fcntl.ioctl(tap, 0x400454D0, offloads)
    except OSError:
        fcntl.ioctl(tap, 0x400454D0, offloads & 0x0F)
    run(f'ip link set gold address {NEAR} up mtu 1280 && ip addr add 198.51.100.1/24 dev gold && ip addr add 2001:db8:1::1/64 dev gold nodad')
    run(f'ip neigh add 198.51.100.2 lladdr {FAR} dev gold && ip neigh add 2001:db8:1::2 lladdr {FAR} dev gold')
    taken = {}
    for family, address in ((socket.AF_INET, '198.51.100.2'), (socket.AF_INET6, '2001:db8:1::2')):
        digit = '4' if family == socket.AF_INET else '6'
        taken[f'syn-tcp{digit}'], stream = connect(tap, family, address)
        stream.send(b'weft' * 640)
        taken[f'super-frame-tcp{digit}'] = read_tcp(tap)
        with socket.socket(family, socket.SOCK_DGRAM) as datagram:
            datagram.sendto(b'one datagram', (address, 9))
            taken[f'udp{digit}'] = read_frame(tap, lambda f: True)
            datagram.setsockopt(socket.IPPROTO_UDP, 103, 500)  # UDP_SEGMENT
            datagram.sendto(b'weft' * 300, (address, 9))
            taken[f'super-frame-udp{digit}'] = read_frame(tap, lambda f: True)
    frames = []
    for name, raw in taken.items():
        fields = struct.unpack('<BBHHHHH', raw[:12])  # struct virtio_net_hdr_mrg_rxbuf
        names = ('flags', 'gso_type', 'hdr_len', 'gso_size', 'csum_start', 'csum_offset', 'num_buffers')
        text = os.path.join(directory, 'one.txt')
        with open(text, 'w') as out:
            out.write('0000 ' + ' '.join(f'{b:02x}' for b in raw[12:]) + '\n')
        run(f'text2pcap {text} {directory}/one.pcap')
        (_, decoded), = frames_of(f'{directory}/one.pcap')
        frames.append({'name': name, 'hex': raw.hex(), 'struct': dict(zip(names, fields)), 'tshark': decoded})
    write('vnet.json', f'Linux {os.uname().release}: read from a TAP with IFF_VNET_HDR, 12 bytes, CSUM TSO4 TSO6 ECN USO', frames)


def read_frame(tap, wanted):
    for _ in range(200):
        raw = os.read(tap, 70000)
        protocol = raw[12 + 23] if raw[12 + 12:12 + 14] == b'\x08\x00' else raw[12 + 20]
        if protocol in (6, 17) and b'\x33\x33' != raw[12:14] and wanted(raw):
            return raw
    sys.exit('the TAP gave nothing that was wanted')


def read_tcp(tap):
    return read_frame(tap, lambda raw: raw[1] in (1, 4))


def ones_sum(data):
    total = sum(struct.unpack(f'!{len(data) // 2}H', data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def connect(tap, family, address):
    """Answers the kernel's SYN by hand. Returns the SYN as read, and the connected socket."""
    stream = socket.socket(family, socket.SOCK_STREAM)
    stream.setblocking(False)
    stream.connect_ex((address, 7))
    syn = read_frame(tap, lambda raw: True)
    l4 = 12 + 14 + (20 if family == socket.AF_INET else 40)
    sport, dport, seq = struct.unpack('!HHI', syn[l4:l4 + 8])
    tcp = struct.pack('!HHIIBBHHHBBH', dport, sport, 1000, seq + 1, 6 << 4, 0x12, 65535, 0, 0, 2, 4, 1200)
    if family == socket.AF_INET:
        source, destination = syn[12 + 26:12 + 30], syn[12 + 30:12 + 34]
        ip = struct.pack('!BBHHHBBH', 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0) + destination + source
        ip = ip[:10] + struct.pack('!H', ~ones_sum(ip) & 0xFFFF) + ip[12:]
        kind = 0x0800
    else:
        source, destination = syn[12 + 22:12 + 38], syn[12 + 38:12 + 54]
        ip = struct.pack('!IHBB', 6 << 28, len(tcp), 6, 64) + destination + source
        kind = 0x86DD
    pseudo = source + destination + struct.pack('!HH', 6, len(tcp))
    tcp = tcp[:16] + struct.pack('!H', ~ones_sum(pseudo + tcp) & 0xFFFF) + tcp[18:]
    os.write(tap, bytes(12) + syn[12 + 6:12 + 12] + syn[12:12 + 6] + struct.pack('!H', kind) + ip + tcp)
    time.sleep(0.2)
    return syn, stream


if __name__ == '__main__':
    run('ip link set lo up')
    with tempfile.TemporaryDirectory() as directory:
        for make in (trafgen, kernel, vnet):
            make(directory)

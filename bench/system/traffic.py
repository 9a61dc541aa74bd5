"""Traffic for the bench's system level, where Node's event loop would be the noise. Prints one JSON object on stdout and ends by itself.

  traffic.py echo ADDRESS COUNT GAP_US FILLER_US DEVICE
      ICMP echo, answered by the other host's kernel: no process there has to be woken. The sender spins on a non-blocking raw socket,
      so no process here has to be woken either. One echo every GAP_US; with FILLER_US > 0 one 60-byte frame (EtherType 0x88b5, to the
      same host) is sent FILLER_US before each, as load that keeps the switch awake.
  traffic.py send ADDRESS RATE SECONDS FLOWS
      UDP datagrams of 18 bytes (60-byte frames), RATE a second over FLOWS source ports, in a burst each millisecond. At most 200 are
      sent in one burst after a delay, so that the sender never overflows a device's queue by itself.
  traffic.py receive FLOWS
      Counts them by flow until SIGTERM: received, out of order, and the longest outage: the longest that a frame was under way, or,
      where frames were lost, the time from the last that arrived to the next. Times are the kernel's, at sending and at arrival, so a
      pause of the sender or of this receiver is no outage.
"""

import gc
import json
import signal
import socket
import struct
import sys
import time

PORT = 7777
SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35
now = time.perf_counter_ns
wall = time.time_ns


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def echo_request(identifier, sequence):
    body = struct.pack("!BBHHH", 8, 0, 0, identifier, sequence) + b"U" * 18
    return body[:2] + struct.pack("!H", checksum(body)) + body[4:]


def neighbour(address, device):
    with open("/proc/net/arp") as table:
        for line in table:
            field = line.split()
            if field[0] == address and field[5] == device:
                return bytes.fromhex(field[3].replace(":", ""))
    raise SystemExit("no ARP entry for %s on %s" % (address, device))


def filler_of(address, device):
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind((device, 0))
    frame = neighbour(address, device) + raw.getsockname()[4] + b"\x88\xb5" + b"U" * 46
    return lambda: raw.send(frame)


def echo(address, count, gap_us, filler_us, device):
    count, gap, lead = int(count), int(gap_us) * 1000, int(filler_us) * 1000
    fill = filler_of(address, device) if lead > 0 else None
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    raw.connect((address, 0))
    raw.setblocking(False)
    identifier = 0x5746
    requests = [echo_request(identifier, n) for n in range(1024)]
    answer = bytearray(256)
    send, receive, times, lost = raw.send, raw.recv_into, [], 0
    due = now()
    for number in range(count):
        due = max(due + gap, now() - gap)
        if fill:
            while now() < due - lead:
                pass
            fill()
        while now() < due:
            pass
        sequence = number & 1023
        start = now()
        send(requests[sequence])
        while True:
            try:
                if receive(answer) >= 28 and answer[20] == 0 and answer[26] * 256 + answer[27] == sequence:
                    times.append(now() - start)
                    break
            except BlockingIOError:
                if now() > start + 50_000_000:
                    lost += 1
                    break
    times.sort()
    at = lambda p: times[min(len(times) - 1, int(len(times) * p))] / 1000 if times else None
    return {"count": count, "lost": lost, "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "p999": at(0.999), "max": at(1)}


def send(address, rate, seconds, flows):
    rate, seconds, flows = int(rate), float(seconds), int(flows)
    sockets = []
    for _ in range(flows):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.connect((address, PORT))
        sockets.append(udp)
    sent, refused, pack = [0] * flows, 0, struct.Struct("!IIQH").pack
    start = now()
    end, total, flow = start + int(seconds * 1e9), 0, 0
    worst_delay, last = 0, start
    while True:
        moment = now()
        if moment >= end:
            break
        worst_delay, last = max(worst_delay, moment - last), moment
        for _ in range(min(200, (moment - start) * rate // 1_000_000_000 - total)):
            try:
                sockets[flow].send(pack(flow, sent[flow], wall(), 0))
                sent[flow] += 1
            except OSError:
                refused += 1
            total += 1
            flow = (flow + 1) % flows
        time.sleep(0.001)
    return {"sent": sent, "refused": refused, "seconds": (now() - start) / 1e9, "senderPauseMs": worst_delay / 1e6}


def receive(flows):
    flows = int(flows)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
    udp.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    udp.bind(("0.0.0.0", PORT))
    received, last, outage, disorder, high = [0] * flows, [0] * flows, [0] * flows, [0] * flows, [-1] * flows
    unpack, stamp, control = struct.Struct("!IIQH").unpack_from, struct.Struct("=qq").unpack_from, socket.CMSG_SPACE(16)
    udp.settimeout(0.2)
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    print("listening", flush=True)
    while not stopped:
        try:
            data, extra, _, _ = udp.recvmsg(2048, control)
        except socket.timeout:
            continue
        if len(data) < 18:
            continue
        flow, sequence, sent, _ = unpack(data)
        if flow >= flows:
            continue
        seconds, rest = stamp(extra[0][2])
        arrived = seconds * 1_000_000_000 + rest
        without = arrived - sent
        if sequence > high[flow] + 1 and last[flow]:
            without = max(without, arrived - last[flow])
        outage[flow] = max(outage[flow], without)
        last[flow] = arrived
        received[flow] += 1
        if sequence <= high[flow]:
            disorder[flow] += 1
        else:
            high[flow] = sequence
    return {"received": received, "outageMs": [g / 1e6 for g in outage], "disorder": disorder}


if __name__ == "__main__":
    modes = {"echo": echo, "send": send, "receive": receive}
    if len(sys.argv) < 3 or sys.argv[1] not in modes:
        raise SystemExit(__doc__)
    gc.disable()
    print(json.dumps(modes[sys.argv[1]](*sys.argv[2:])), flush=True)

"""A host of the tests: sits in a network namespace, answers one JSON object a line on stdin with one on stdout.

host.ts starts it by `ip netns exec` and speaks to it; several questions may be under way at once, each in a thread of its own.
It ends with its stdin. Frames travel as hex text. It sends and receives nothing on its own.
"""
import errno
import hashlib
import json
import os
import socket
import struct
import sys
import threading
import time

SOL_PACKET = 263
PACKET_AUXDATA = 8
SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35
ETH_P_ALL = 3
TP_STATUS_VLAN_VALID = 1 << 4
TP_STATUS_VLAN_TPID_VALID = 1 << 6
PACKET_OUTGOING = 4
FLOW_TYPE = 0x88B5
# The flow's number, the frame's number in it, and when it was sent.
FLOW_FIELDS = '!IId'
BLOCK = 1 << 20
# Frames that a flow sends at once, at most.
BURST = 64
# How often a listener that hears nothing looks whether it is still wanted.
LOOK_SECONDS = 0.2

written = threading.Lock()
sniffers = {}
flows = {}
held = []


def packet_socket(device, protocol, receive_bytes=0):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    if receive_bytes:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, receive_bytes)
        sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack('ll', 0, int(LOOK_SECONDS * 1e6)))
    sock.bind((device, protocol))
    return sock


def with_tag(frame, ancillary):
    """The kernel takes the outer tag out of what it received and tells it beside the frame."""
    for level, kind, data in ancillary:
        if level != SOL_PACKET or kind != PACKET_AUXDATA:
            continue
        status, _, _, _, _, tci, tpid = struct.unpack_from('IIIHHHH', data)
        if status & TP_STATUS_VLAN_VALID:
            tpid = tpid if status & TP_STATUS_VLAN_TPID_VALID else 0x8100
            return frame[:12] + struct.pack('!HH', tpid, tci) + frame[12:]
    return frame


def arrival(ancillary):
    """When the kernel received a frame, by its clock: it knows of no pause of ours."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = struct.unpack('ll', data)
            return seconds + nanoseconds / 1e9
    return time.time()


class Listener(threading.Thread):
    """Takes what a socket receives until somebody says that it is no longer wanted: several would share one interpreter."""

    def __init__(self, sock, bytes_max):
        super().__init__(daemon=True)
        self.sock = sock
        self.bytes_max = bytes_max
        self.wanted = True

    def run(self):
        while self.wanted:
            try:
                frame, ancillary, _, address = self.sock.recvmsg(self.bytes_max, 256)
            except BlockingIOError:
                continue
            except OSError:
                time.sleep(0.01)  # The device went down for a moment.
                continue
            self.take_in(frame, ancillary, address)
        self.sock.close()


class Sniffer(Listener):
    """Keeps what a device receives and a test cares for: frames with `marker` in them."""

    def __init__(self, device, marker):
        super().__init__(packet_socket(device, ETH_P_ALL, 16 << 20), 70000)
        self.marker = marker
        self.frames = []
        self.arrived = threading.Condition()

    def take_in(self, frame, ancillary, address):
        if address[2] == PACKET_OUTGOING or self.marker not in frame:
            return
        with self.arrived:
            self.frames.append(with_tag(frame, ancillary))
            self.arrived.notify_all()

    def take(self, count, seconds):
        end = time.monotonic() + seconds
        with self.arrived:
            while len(self.frames) < count and time.monotonic() < end:
                self.arrived.wait(max(0, end - time.monotonic()))
            taken, self.frames = self.frames, []
        return taken


class Flow(Listener):
    """Counts the numbered frames of one flow."""

    def __init__(self, device, number):
        super().__init__(packet_socket(device, FLOW_TYPE, 64 << 20), 2048)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.device = device
        self.number = number
        self.seen = set()
        self.duplicates = 0
        self.late = 0.0

    def take_in(self, frame, ancillary, _):
        number, sequence, sent = struct.unpack_from(FLOW_FIELDS, frame, 14)
        if number != self.number:
            return
        if sequence in self.seen:
            self.duplicates += 1
        self.seen.add(sequence)
        self.late = max(self.late, arrival(ancillary) - sent)

    def missing(self, sent):
        """The longest run of numbers below `sent` that never came."""
        numbers = [-1, *sorted(self.seen), sent]
        return max(after - before - 1 for before, after in zip(numbers, numbers[1:]))


def forget_sniffer(device):
    if device in sniffers:
        sniffers.pop(device).wanted = False


def op_sniff(device, marker=''):
    forget_sniffer(device)
    sniffer = Sniffer(device, bytes.fromhex(marker))
    sniffers[device] = sniffer
    sniffer.start()


def op_frames(device, count=1, seconds=2.0):
    return [frame.hex() for frame in sniffers[device].take(count, seconds)]


def op_send(device, frames, times=1, pause=0.0):
    sock = packet_socket(device, 0)
    raw = [bytes.fromhex(frame) for frame in frames]
    sent = 0
    for _ in range(times):
        for frame in raw:
            sent += 1
            try:
                sock.send(frame)
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # ENOBUFS: the device's queue was full; it has counted the frame as dropped.
                    raise
        if pause:
            time.sleep(pause)
    sock.close()
    return sent


def op_flow_listen(device, number):
    """Listens to one flow and to nothing else that comes by the device; what older flows came to can still be asked."""
    forget_sniffer(device)
    for older in flows.values():
        if older.device == device:
            older.wanted = False
    flow = Flow(device, number)
    flows[number] = flow
    flow.start()


def op_flow_result(number, sent=0):
    flow = flows[number]
    return {
        'received': len(flow.seen),
        'duplicates': flow.duplicates,
        'missing': flow.missing(sent),
        'late_ms': flow.late * 1000,
    }


def op_flow_send(device, destination, source, number, rate, seconds, size=100):
    """Numbered frames at a steady rate; answers how many were handed to the device.

    A sender that was not on a CPU for a while goes on from there, and with the next number: catching up in one burst would overrun any queue.
    """
    sock = packet_socket(device, 0)
    head = bytes.fromhex(destination + source) + struct.pack('!H', FLOW_TYPE)
    pad = bytes(max(0, size - len(head) - struct.calcsize(FLOW_FIELDS)))
    now = start = due = time.monotonic()
    sent = 0
    while now - start < seconds:
        due = max(due, now - BURST / rate)
        while due <= now:
            try:
                sock.send(head + struct.pack(FLOW_FIELDS, number, sent, time.time()) + pad)
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
            sent += 1
            due += 1 / rate
        time.sleep(0.001)
        now = time.monotonic()
    sock.close()
    return sent


def family_of(address):
    return socket.AF_INET6 if ':' in address else socket.AF_INET


def once(op):
    """What is open stays open: a test that is tried again asks for it again."""
    done = set()

    def asked(**given):
        key = tuple(sorted(given.items()))
        if key not in done:
            op(**given)
            done.add(key)

    return asked


@once
def op_serve(address, port):
    """Takes one connection after another and answers each with the SHA-256 of what came."""
    server = socket.socket(family_of(address), socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, port))
    server.listen(8)

    def answer(connection):
        with connection:
            digest = hashlib.sha256()
            while True:
                block = connection.recv(BLOCK)
                if not block:
                    break
                digest.update(block)
            connection.sendall(digest.hexdigest().encode())

    def accept():
        while True:
            threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def op_transfer(address, port, size, pause=0.0, seconds=30.0):
    """Sends `size` random bytes over TCP, with a pause after each MiB; answers the digests of both sides."""
    with socket.socket(family_of(address), socket.SOCK_STREAM) as sock:
        sock.settimeout(seconds)
        sock.connect((address, port))
        digest = hashlib.sha256()
        left = size
        while left > 0:
            block = os.urandom(min(BLOCK, left))
            digest.update(block)
            sock.sendall(block)
            left -= len(block)
            time.sleep(pause)
        sock.shutdown(socket.SHUT_WR)
        answer = b''
        while len(answer) < 64:
            part = sock.recv(64)
            if not part:
                break
            answer += part
    return {'sent': digest.hexdigest(), 'received': answer.decode()}


@once
def op_hold(address, port):
    """Has a UDP port open, so that no ICMP error says that nobody listens; what comes is forgotten."""
    sock = socket.socket(family_of(address), socket.SOCK_DGRAM)
    sock.bind((address, port))
    held.append(sock)


def op_connect(address, port, seconds=2.0):
    """What a connection attempt came to: `open`, or the error's name."""
    try:
        with socket.create_connection((address, port), timeout=seconds) as sock:
            return {'result': 'open', 'from': sock.getsockname()[0]}
    except OSError as error:
        return {'result': type(error).__name__, 'from': None}


@once
def op_peers(port, address='0.0.0.0'):
    """Listens and answers each connection with the address that it came from."""
    server = socket.socket(family_of(address), socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, port))
    server.listen(8)

    def accept():
        while True:
            connection, peer = server.accept()
            with connection:
                connection.sendall(peer[0].encode())

    threading.Thread(target=accept, daemon=True).start()


def op_ask_peer(address, port, seconds=3.0):
    with socket.create_connection((address, port), timeout=seconds) as sock:
        return sock.recv(100).decode()


def serve(line):
    request = json.loads(line)
    answer = {'id': request.pop('id')}
    try:
        answer['result'] = globals()['op_' + request.pop('op')](**request)
    except Exception as error:  # Whatever it is, the test that asked must hear of it.
        answer['error'] = f'{type(error).__name__}: {error}'
    with written:
        print(json.dumps(answer), flush=True)


for asked in sys.stdin:
    threading.Thread(target=serve, args=(asked,), daemon=True).start()

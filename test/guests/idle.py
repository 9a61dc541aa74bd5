"""Guests that do nothing, as vhost-user front ends: idle.py SOCKET … connects to each, gives it memory and one pair of rings, and says
`ready`. For each line on stdin it lets the guest of that number send one frame, and prints the milliseconds until the switch has taken it,
or `no kick` when the switch asks for none within a second. After VIRTIO 1.2, section 2.7 (split rings), and QEMU's docs/interop/vhost-user.rst.
"""
import mmap
import os
import socket
import struct
import sys
import time

MEMORY = 1 << 20
USER = 0x7000_0000_0000
RING = 256
AVAILABLE, USED = 0x4000, 0x8000
BUFFERS = 0x40000
VERSION_1 = 1 << 32
OWNER, FEATURES, TABLE, NUM, ADDRESS, BASE, KICK, CALL = 3, 2, 5, 8, 9, 10, 12, 13
NO_NOTIFY = 1
HEADER_BYTES, FRAME_BYTES = 12, 60
PATIENCE = 1


class Guest:
    def __init__(self, path, number):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        memory = os.memfd_create('guest')
        os.ftruncate(memory, MEMORY)
        self.memory = mmap.mmap(memory, MEMORY)
        self.kicks = [os.eventfd(0), os.eventfd(0)]
        self.sent = 0
        self.frame = b'\xff' * 6 + bytes([2, 0, 0, 0, 1, number]) + b'\x88\xb5' + bytes(FRAME_BYTES - 14)
        self.tell(OWNER)
        self.tell(FEATURES, struct.pack('<Q', VERSION_1))
        self.tell(TABLE, struct.pack('<II4Q', 1, 0, 0, MEMORY, USER, 0), [memory])
        for ring in (0, 1):
            at = USER + ring * 0x10000
            self.tell(NUM, struct.pack('<II', ring, RING))
            self.tell(BASE, struct.pack('<II', ring, 0))
            self.tell(ADDRESS, struct.pack('<II4Q', ring, 0, at, at + USED, at + AVAILABLE, 0))
            self.tell(CALL, struct.pack('<Q', ring), [os.eventfd(0)])
            self.tell(KICK, struct.pack('<Q', ring), [self.kicks[ring]])

    def tell(self, request, payload=b'', descriptors=()):
        socket.send_fds(self.socket, [struct.pack('<III', request, 1, len(payload)) + payload], descriptors)

    def used(self):
        return struct.unpack_from('<HH', self.memory, 0x10000 + USED)

    def send(self):
        buffer = BUFFERS + (self.sent % RING) * 0x200
        self.memory[buffer:buffer + HEADER_BYTES + FRAME_BYTES] = bytes(HEADER_BYTES) + self.frame
        slot = self.sent % RING
        struct.pack_into('<QIHH', self.memory, 0x10000 + 16 * slot, buffer, HEADER_BYTES + FRAME_BYTES, 0, 0)
        struct.pack_into('<H', self.memory, 0x10000 + AVAILABLE + 4 + 2 * slot, slot)
        self.sent += 1
        # The switch may be awake for a moment, and asks for a kick once it is about to sleep.
        started = time.monotonic()
        while self.used()[0] & NO_NOTIFY and time.monotonic() - started < PATIENCE:
            time.sleep(0.001)
        started = time.monotonic()
        struct.pack_into('<H', self.memory, 0x10000 + AVAILABLE + 2, self.sent & 0xffff)
        if self.used()[0] & NO_NOTIFY:
            return 'no kick'
        os.eventfd_write(self.kicks[1], 1)
        while self.used()[1] != self.sent & 0xffff:
            if time.monotonic() - started > PATIENCE:
                return 'never'
        return (time.monotonic() - started) * 1000


guests = [Guest(path, number) for number, path in enumerate(sys.argv[1:])]
print('ready', flush=True)
for line in sys.stdin:
    print(guests[int(line)].send(), flush=True)

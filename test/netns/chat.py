"""Connections that last: an echo server, or a client that says a line every few milliseconds and counts the answers.

`chat.py serve ADDRESS PORT` echoes until it is killed. `chat.py talk ADDRESS PORT` says `connected`, talks until its stdin ends, then
prints one JSON object: how many answers came and in which order, the longest silence, and what broke the connection, if anything did. To
each line on stdin it says how many answers have come by then.
"""
import json
import socket
import sys
import threading
import time

PAUSE = 0.01
# A connection whose retransmissions back off answers late, but it answers.
PATIENCE = 20


def echo(connection):
    with connection:
        while True:
            data = connection.recv(4096)
            if not data:
                return
            connection.sendall(data)


def serve(address, port):
    listening = socket.create_server((address, port), family=socket.AF_INET6 if ':' in address else socket.AF_INET)
    print('listening', flush=True)
    while True:
        threading.Thread(target=echo, args=(listening.accept()[0],), daemon=True).start()


def talk(address, port):
    connection = socket.create_connection((address, port), PATIENCE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    answers = connection.makefile('r')
    ended = threading.Event()
    count, longest, error, last = 0, 0.0, None, time.monotonic()

    def tell():
        for _ in sys.stdin:
            print(count, flush=True)
        ended.set()

    threading.Thread(target=tell, daemon=True).start()
    print('connected', flush=True)
    try:
        while not ended.is_set():
            connection.sendall(f'{count}\n'.encode())
            if answers.readline() != f'{count}\n':
                raise OSError('another answer than expected')
            count += 1
            now = time.monotonic()
            longest, last = max(longest, now - last), now
            time.sleep(PAUSE)
    except OSError as failure:
        error = str(failure)
    print(json.dumps({'answers': count, 'silence_ms': round(longest * 1000), 'error': error}), flush=True)


{'serve': serve, 'talk': talk}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))

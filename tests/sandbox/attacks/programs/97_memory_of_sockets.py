"""Holds four times its memory in sockets that nobody reads."""

import resource
import socket
import time

resource.setrlimit(resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE)[1:] * 2)
held, total, kept = bytes(60_000), 0, []
try:
    while total < 512 << 20:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        sender = socket.socket()
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        sender.connect(listener.getsockname())
        receiver, _ = listener.accept()
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        datagrams.bind(("127.0.0.1", 0))
        kept += [listener, sender, receiver, datagrams]
        sender.setblocking(False)
        before = total
        try:
            while True:
                total += sender.send(held)
        except OSError:
            pass
        for _ in range(6):
            total += datagrams.sendto(held, datagrams.getsockname())
        if total == before:
            break
except OSError as error:
    print(f"held: {error!r}")
time.sleep(0.5)
print("ESCAPED: sockets hold" if total > 400 << 20 else "held: refused", total >> 20, "MiB", flush=True)

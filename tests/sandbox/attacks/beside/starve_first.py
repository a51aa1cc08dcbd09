"""Takes all that is counted for a user: watches, pending signals, room in pipes, locked memory, message queues."""

import ctypes
import fcntl
import os
import signal
import time

libc = ctypes.CDLL(None, use_errno=True)
for _ in range(1000):
    if libc.inotify_init() < 0:
        break
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGRTMIN})
for _ in range(200_000):
    try:
        signal.sigqueue(os.getpid(), signal.SIGRTMIN, 0) if hasattr(signal, "sigqueue") else libc.sigqueue(
            os.getpid(), signal.SIGRTMIN, ctypes.c_void_p(0)
        )
    except OSError:
        break
for _ in range(5):
    if os.fork() == 0:
        for _ in range(500):
            try:
                _, writer = os.pipe()
                fcntl.fcntl(writer, 1031, 1 << 20)  # F_SETPIPE_SZ
            except OSError:
                pass
        time.sleep(60)
time.sleep(1)
print("holding", flush=True)
time.sleep(60)

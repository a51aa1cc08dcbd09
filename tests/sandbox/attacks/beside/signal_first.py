"""Signals everybody that it can name."""

import contextlib
import os
import signal
import time

print("holding", flush=True)
ended = time.monotonic() + 60
while time.monotonic() < ended:
    for pid in (*range(2, 5000), -1):
        if pid != os.getpid():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGUSR1 if pid != -1 else signal.SIGURG)

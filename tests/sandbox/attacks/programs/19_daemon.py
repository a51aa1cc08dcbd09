"""Leaves a daemon: own session, closed streams, all signals ignored."""

import os
import signal
import time

if os.fork() == 0:
    os.setsid()
    for number in (1, 2, 3, 15):
        signal.signal(number, signal.SIG_IGN)
    if os.fork() == 0:
        os.closerange(0, 10)
        while True:
            time.sleep(0.1)
            os.fork() or os._exit(0)
    os._exit(0)
print("held: leaving")

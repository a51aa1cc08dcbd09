"""Leaves stopped and traced children, which cannot end by themselves."""

import os
import signal
import time

for _ in range(5):
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    os.kill(pid, signal.SIGSTOP)
print("held: leaving")

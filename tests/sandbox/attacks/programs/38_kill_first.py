"""Kills PID 1 and its parent with every signal."""

import os
import signal

for pid in (1, os.getppid()):
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSEGV, signal.SIGABRT, signal.SIGHUP):
        try:
            if pid:
                os.kill(pid, number)
        except OSError:
            pass
print("held: still served")

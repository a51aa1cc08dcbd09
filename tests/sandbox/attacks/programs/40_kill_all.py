"""Kills everybody it can, then goes on."""

import os
import signal

signal.signal(signal.SIGTERM, signal.SIG_IGN)
try:
    os.kill(-1, signal.SIGTERM)
except OSError:
    pass
print("held: still here")

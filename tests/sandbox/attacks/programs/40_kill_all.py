"""Kills everybody it can, then goes on."""

import contextlib
import os
import signal

signal.signal(signal.SIGTERM, signal.SIG_IGN)
with contextlib.suppress(OSError):
    os.kill(-1, signal.SIGTERM)
print("held: still here")

"""Enters the namespaces of others."""

import ctypes
import os

from attack import attempt, call

libc = ctypes.CDLL(None, use_errno=True)
for name in ("mnt", "net", "pid", "user"):
    attempt(name, lambda name=name: call(libc.setns, os.open(f"/proc/1/ns/{name}", os.O_RDONLY), 0))

"""Takes over other processes."""

import ctypes
import os

from attack import attempt, call

libc = ctypes.CDLL(None, use_errno=True)
others = sorted({1, os.getppid(), *(int(name) for name in os.listdir("/proc") if name.isdigit())} - {0, os.getpid()})
for pid in others[:4]:
    attempt(f"attach {pid}", lambda pid=pid: call(libc.ptrace, 16, pid, None, None))
    attempt(f"seize {pid}", lambda pid=pid: call(libc.ptrace, 0x4206, pid, None, None))

"""Watches the whole machine's performance counters."""

import ctypes
import os

from attack import attempt, call

libc = ctypes.CDLL(None, use_errno=True)
x86 = os.uname().machine == "x86_64"
attempt(
    "perf_event_open",
    lambda: call(libc.syscall, 298 if x86 else 241, (ctypes.c_char * 120)(1, 0, 0, 0, 120), -1, 0, -1, 0),
)

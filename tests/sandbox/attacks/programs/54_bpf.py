"""Loads programs into the kernel."""

import ctypes
import os

from attack import attempt, call

libc = ctypes.CDLL(None, use_errno=True)
x86 = os.uname().machine == "x86_64"
attempt(
    "bpf",
    lambda: call(
        libc.syscall, 321 if x86 else 280, 0, (ctypes.c_char * 120)(2, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 1), 120
    ),
)

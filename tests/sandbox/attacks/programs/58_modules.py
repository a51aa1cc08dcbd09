"""Loads a kernel module and another kernel."""

import ctypes
import os

from attack import attempt, call

libc = ctypes.CDLL(None, use_errno=True)
x86 = os.uname().machine == "x86_64"
attempt("init_module", lambda: call(libc.syscall, 175 if x86 else 105, b"x", 1, b""))
attempt("finit_module", lambda: call(libc.syscall, 313 if x86 else 273, 0, b"", 0))
attempt("kexec_load", lambda: call(libc.syscall, 246 if x86 else 104, 0, 0, 0, 0))
attempt("reboot", lambda: call(libc.syscall, 169 if x86 else 142, 0xFEE1DEAD, 672274793, 0, 0))

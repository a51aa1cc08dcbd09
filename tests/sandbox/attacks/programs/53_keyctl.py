"""Uses the kernel's key rings, which are shared past namespaces."""

import ctypes
import os

from attack import attempt, call

libc = ctypes.CDLL(None, use_errno=True)
x86 = os.uname().machine == "x86_64"
attempt("add_key", lambda: call(libc.syscall, 248 if x86 else 217, b"user", b"attack", b"x", 1, -3))
attempt("request_key", lambda: call(libc.syscall, 249 if x86 else 218, b"user", b"attack", None, -3))
attempt("keyctl", lambda: call(libc.syscall, 250 if x86 else 219, 0, -3, 1, 0, 0))

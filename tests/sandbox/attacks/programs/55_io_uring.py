"""Uses io_uring, which seccomp cannot look into."""

import ctypes
import os

from attack import attempt, call

libc = ctypes.CDLL(None, use_errno=True)
x86 = os.uname().machine == "x86_64"
attempt("io_uring_setup", lambda: call(libc.syscall, 425 if x86 else 425, 8, (ctypes.c_char * 120)()))

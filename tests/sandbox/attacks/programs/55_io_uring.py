"""Uses io_uring, which seccomp cannot look into."""

import ctypes

from attack import attempt, call

libc = ctypes.CDLL(None, use_errno=True)
attempt("io_uring_setup", lambda: call(libc.syscall, 425, 8, (ctypes.c_char * 120)()))

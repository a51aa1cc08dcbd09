"""Uses userfaultfd, a tool of kernel exploits."""

import ctypes
import os

from attack import attempt, call

libc = ctypes.CDLL(None, use_errno=True)
x86 = os.uname().machine == "x86_64"
attempt("userfaultfd", lambda: call(libc.syscall, 323 if x86 else 282, 0))

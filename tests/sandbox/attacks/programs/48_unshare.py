"""Makes namespaces of its own, where it would be root."""

import ctypes
import os

from attack import attempt, call

libc = ctypes.CDLL(None, use_errno=True)
for name, flag in (("user", 0x10000000), ("mount", 0x20000), ("net", 0x40000000), ("pid", 0x20000000)):
    attempt(f"unshare {name}", lambda flag=flag: call(libc.unshare, flag))
attempt("clone", lambda: call(libc.syscall, 56 if os.uname().machine == "x86_64" else 220, 0x10000000 | 17, 0, 0, 0, 0))

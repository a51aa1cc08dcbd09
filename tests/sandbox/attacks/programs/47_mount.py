"""Mounts."""

import ctypes

from attack import attempt, call

libc = ctypes.CDLL(None, use_errno=True)
attempt("tmpfs", lambda: call(libc.mount, b"none", b"/tmp", b"tmpfs", 0, None))
attempt("bind", lambda: call(libc.mount, b"/", b"/tmp", None, 4096, None))
attempt("proc", lambda: call(libc.mount, b"proc", b"/tmp", b"proc", 0, None))
attempt("remount", lambda: call(libc.mount, b"none", b"/", None, 32 | 4096, None))
attempt("umount", lambda: call(libc.umount2, b"/proc", 2))
attempt("fsopen", lambda: call(libc.syscall, 430, b"tmpfs", 0))

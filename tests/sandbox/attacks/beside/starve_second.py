"""What an ordinary program may count on."""

import ctypes
import fcntl
import os
import signal

libc = ctypes.CDLL(None, use_errno=True)
found = []
if libc.inotify_init() < 0 and ctypes.get_errno() != 1:  # refused to everybody is no shortage
    found.append(f"inotify {ctypes.get_errno()}")
timer = ctypes.c_void_p()
if libc.timer_create(1, None, ctypes.byref(timer)) < 0:
    found.append(f"timer {ctypes.get_errno()}")
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGRTMIN})
if libc.sigqueue(os.getpid(), signal.SIGRTMIN, ctypes.c_void_p(0)) < 0:
    found.append(f"signal {ctypes.get_errno()}")
size = fcntl.fcntl(os.pipe()[0], 1032)
if size < 65536:
    found.append(f"pipe {size}")
print(found or "clean")

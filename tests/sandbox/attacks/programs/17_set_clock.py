"""Sets the machine's clock."""

import ctypes
import time

from attack import attempt, call

libc = ctypes.CDLL(None, use_errno=True)
moment = (ctypes.c_long * 2)(1_000_000_000, 0)
attempt("settimeofday", lambda: call(libc.settimeofday, moment, None))
attempt("clock_settime", lambda: time.clock_settime(time.CLOCK_REALTIME, 1e9))
attempt("adjtimex", lambda: call(libc.adjtimex, (ctypes.c_long * 64)(0x4000 | 1, 1)))

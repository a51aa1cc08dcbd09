"""Locks memory and asks for real-time priority."""

import ctypes
import os

from attack import attempt, call

libc = ctypes.CDLL(None, use_errno=True)
attempt("mlockall", lambda: call(libc.mlockall, 3) or bytearray(256 << 20))
attempt("real time", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50)))
attempt("priority", lambda: os.setpriority(os.PRIO_PROCESS, 0, -10))

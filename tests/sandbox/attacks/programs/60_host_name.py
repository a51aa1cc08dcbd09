"""Renames the machine."""

import ctypes
import socket

from attack import attempt, call

libc = ctypes.CDLL(None, use_errno=True)
attempt("sethostname", lambda: socket.sethostname("attacked"))
attempt("setdomainname", lambda: call(libc.setdomainname, b"attacked", 8))
attempt("swapoff", lambda: call(libc.swapoff, b"/dev/sda"))

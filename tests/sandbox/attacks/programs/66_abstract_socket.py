"""Connects to an abstract unix socket of the host, which no file system hides."""

import socket

from attack import TARGETS, attempt


def connect():
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect("\0" + TARGETS["abstract"])


attempt("abstract", connect)

"""Connects to a unix socket of the host by its path."""

import socket

from attack import TARGETS, attempt


def connect():
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(TARGETS["socket"])


attempt("by path", connect)

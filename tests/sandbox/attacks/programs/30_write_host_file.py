"""Writes a file that everybody on the host may write."""

from attack import TARGETS, attempt


def write():
    with open(TARGETS["writable"], "w") as stream:
        stream.write("attack")


attempt("write", write)

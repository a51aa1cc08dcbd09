"""Reads files of the host."""

import glob
import os

from attack import TARGETS, attempt


def read(path):
    with open(path, "rb") as stream:
        return stream.read(200)


attempt("a secret of the host", lambda: read(TARGETS["secret"]))
attempt("shadow", lambda: read("/etc/shadow"))
attempt("ssh keys", lambda: read(next(iter(glob.glob("/root/.ssh/*") + glob.glob("/home/*/.ssh/*")))))
attempt("the project", lambda: read(os.path.join(TARGETS["project"], "pyproject.toml")))
attempt("machine id", lambda: read("/etc/machine-id"))

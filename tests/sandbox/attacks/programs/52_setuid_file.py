"""Leaves a setuid file behind, where it would take effect."""

import os
import shutil

from attack import attempt

shutil.copy("/bin/sh", "shell")


def mark(mode):
    os.chmod("shell", mode)
    if os.statvfs("shell").f_flag & os.ST_NOSUID:
        raise OSError("it means nothing in this file system")


attempt("setuid", lambda: mark(0o4755))
attempt("setgid", lambda: mark(0o2755))

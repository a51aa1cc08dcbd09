"""Reads the command lines of the host's processes."""

import glob
import os

from attack import TARGETS

found = ""
for path in glob.glob("/proc/[0-9]*/cmdline"):
    try:
        with open(path, errors="replace") as stream:
            found += stream.read()
    except OSError:
        pass
print("ESCAPED: the host's processes" if TARGETS["marker"] in found else f"held: {os.getpid()}")

"""Looks for secrets in its own environment and in everybody else's."""

import glob
import os

from attack import TARGETS

found = "".join(f"{name}={value}" for name, value in os.environ.items())
for path in glob.glob("/proc/*/environ"):
    try:
        with open(path, errors="replace") as stream:
            found += stream.read()
    except OSError:
        pass
print("ESCAPED: a secret" if TARGETS["variable"] in found else "held: no secret")

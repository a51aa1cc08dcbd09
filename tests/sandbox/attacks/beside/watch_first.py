"""Uses files that everybody sees, again and again."""

import contextlib
import os
import sys
import time

print("holding", flush=True)
ended = time.monotonic() + 60
while time.monotonic() < ended:
    for path in ("/usr/bin/env", "/bin/sh", sys.executable, "/dev/null", "/etc/passwd", os.__file__):
        with contextlib.suppress(OSError), open(path, "rb") as stream:
            stream.read(100)
    time.sleep(0.02)

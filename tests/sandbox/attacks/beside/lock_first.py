"""Says something in locks on files that everybody sees."""

import contextlib
import fcntl
import sys
import time

kept = []
for path in ("/usr/bin/env", "/bin/sh", sys.executable, "/dev/null", "/dev/zero", "/etc/passwd", "/proc/version"):
    with contextlib.suppress(OSError):
        file = open(path, "rb")  # noqa: SIM115
        kept.append(file)
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with contextlib.suppress(OSError):
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
print("holding", flush=True)
time.sleep(60)

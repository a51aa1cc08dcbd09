"""Listens for locks."""

import fcntl
import struct
import sys

found = []
for path in ("/usr/bin/env", "/bin/sh", sys.executable, "/dev/null", "/dev/zero", "/etc/passwd", "/proc/version"):
    try:
        file = open(path, "rb")  # noqa: SIM115
    except OSError:
        continue
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        found.append(f"flock {path}")
    except OSError:
        pass
    try:
        answer = fcntl.fcntl(file, fcntl.F_GETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
        if struct.unpack("hhqqi4x", answer)[0] != fcntl.F_UNLCK:
            found.append(f"lock {path}")
    except OSError:
        pass
print(found or "clean")

"""Listens for locks."""

import contextlib
import fcntl
import os
import struct
import sys
import sysconfig

PATHS = ("/usr/bin/env", "/bin/sh", sys.executable, "/dev/null", "/dev/zero", "/etc/passwd", "/proc/version")
OURS = (os.__file__, contextlib.__file__, sysconfig.get_path("purelib"), "/usr", "/lib", "/dev")
found = []
for path in (*PATHS, *OURS):
    try:
        file = os.open(path, os.O_RDONLY)
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

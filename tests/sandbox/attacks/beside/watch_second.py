"""Watches what others do to files that everybody sees."""

import ctypes
import os
import select
import sys

libc = ctypes.CDLL(None, use_errno=True)
watch = libc.inotify_init()
found = []
if watch >= 0:
    for path in (
        "/usr/bin",
        "/bin",
        os.path.dirname(sys.executable),
        "/dev/null",
        "/etc",
        os.path.dirname(os.__file__),
    ):
        libc.inotify_add_watch(watch, path.encode(), 0x21)  # accessed, opened
    if select.select([watch], [], [], 1.0)[0]:
        found.append(os.read(watch, 4096)[:60])
print(found or "clean")

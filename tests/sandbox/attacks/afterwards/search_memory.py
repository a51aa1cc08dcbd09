"""The next job: does its memory hold what the last one held?

The two halves of the secret never stand side by side here, so what is found is not our own.
"""

import base64

from attack import TARGETS

first, second = base64.b64decode(TARGETS["first"]), base64.b64decode(TARGETS["second"])
found = searched = 0
with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", buffering=0) as memory:
    for line in maps.read().splitlines():
        span, mode = line.split()[:2]
        start, end = (int(part, 16) for part in span.split("-"))
        if not mode.startswith("rw"):
            continue
        try:
            memory.seek(start)
            data = memory.read(end - start)
        except (OSError, ValueError):
            continue
        searched += len(data)
        at = data.find(first)
        while at >= 0:
            found += data[at + len(first) : at + 2 * len(first)] == second
            at = data.find(first, at + 1)
print("POISONED:" if found or searched < 1 << 20 else "clean", found, searched)

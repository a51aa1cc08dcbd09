"""The next job: is anything there that it did not bring?"""

import glob
import os

places = ["/tmp", "/var/tmp", "/dev/shm", os.environ["HOME"], os.environ["TMPDIR"], os.environ["MOVE37_OUT"], "."]
found = [path for place in places for path in glob.glob(place + "/**/poison*", recursive=True, include_hidden=True)]
try:
    import poison  # noqa: F401

    found.append("a module")
except ImportError:
    pass
print("POISONED:" if found else "clean", *found)

"""Leaves files in every place that the next job could look at."""

import os

for folder in ("/tmp", "/var/tmp", "/dev/shm", os.environ["HOME"], os.environ["TMPDIR"], os.environ["MOVE37_OUT"], "."):
    try:
        with open(folder + "/poison.py", "w") as stream:
            stream.write("raise SystemExit('poisoned')")
    except OSError:
        pass

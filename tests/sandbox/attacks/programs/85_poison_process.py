"""Leaves a process that waits for the next job."""

import os
import time

if os.fork() == 0:
    os.setsid()
    while True:
        for folder in ("/tmp", "/dev/shm", "."):
            try:
                with open(folder + "/poison.py", "w") as stream:
                    stream.write("x")
            except OSError:
                pass
        time.sleep(0.01)

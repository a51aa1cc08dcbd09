"""Leaves a grandchild behind that nobody waits for."""

import os
import time

if os.fork() == 0:
    if os.fork() == 0:
        time.sleep(60)
    os._exit(0)
print("held: leaving")

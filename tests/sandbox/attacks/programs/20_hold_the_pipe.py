"""Leaves a child that keeps standard output open."""

import os
import time

if os.fork() == 0:
    time.sleep(60)
    os._exit(0)
os._exit(3)

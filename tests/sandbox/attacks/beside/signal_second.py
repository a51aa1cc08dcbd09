"""Waits for a signal, which would end it."""

import time

time.sleep(1)
print("clean")

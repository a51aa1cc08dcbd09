"""Sleeps past its time."""

import time

time.sleep(60)

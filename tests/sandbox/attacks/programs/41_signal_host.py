"""Signals a process of the host by its number."""

import os

from attack import TARGETS, attempt

attempt("signal", lambda: os.kill(TARGETS["pid"], 0))

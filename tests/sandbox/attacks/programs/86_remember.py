"""Holds a secret in memory; the next job searches all of its own memory for it."""

import base64

from attack import TARGETS

secret = base64.b64decode(TARGETS["first"]) + base64.b64decode(TARGETS["second"])
held = [bytes(secret) for _ in range(1000)]
print("held:", len(held))

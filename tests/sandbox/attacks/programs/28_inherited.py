"""Looks for descriptors that were left open for it."""

import os

extra = []
for number in range(3, 1024):
    try:
        os.fstat(number)
        extra.append(number)
    except OSError:
        pass
print(f"ESCAPED: descriptors {extra}" if extra else "held: none")

"""Burns every core in threads that hold the interpreter."""

import os

for _ in range(4):
    if os.fork() == 0:
        break
while True:
    sum(range(1_000_000))

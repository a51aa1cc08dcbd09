"""Returns thousands of files with names as long as may be."""

import os

CONTROL = chr(1) * 3

for number in range(4000):
    try:
        os.makedirs(f"{os.environ['MOVE37_OUT']}/{'é' * 90}/{CONTROL}{number}{'ü' * 60}")
        open(f"{os.environ['MOVE37_OUT']}/{'é' * 90}/{number:05}{'ü' * 90}", "w").close()
    except OSError:
        break

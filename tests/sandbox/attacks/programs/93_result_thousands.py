"""Returns two thousand small files, more than a process may hold open."""

import os

for number in range(2000):
    with open(f"{os.environ['MOVE37_OUT']}/{number}", "w") as stream:
        stream.write(str(number))

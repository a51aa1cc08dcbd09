"""Returns twenty thousand files."""

import os

for number in range(20_000):
    os.close(os.open(f"{os.environ['MOVE37_OUT']}/{number}", os.O_CREAT | os.O_WRONLY))

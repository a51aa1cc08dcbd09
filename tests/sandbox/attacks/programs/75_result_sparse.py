"""Returns a terabyte that takes no room."""

import os

try:
    os.truncate(os.open(os.environ["MOVE37_OUT"] + "/result.bin", os.O_CREAT | os.O_WRONLY), 1 << 40)
except OSError:
    with open(os.environ["MOVE37_OUT"] + "/result.bin", "wb") as stream:
        stream.truncate(32 << 20)

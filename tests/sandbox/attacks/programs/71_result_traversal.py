"""Gives its results names that lead elsewhere."""

import os

for name in ("..\\..\\evil.txt", "a\nb", "C:evil.txt", "\x1b[2Jx"):
    with open(os.path.join(os.environ["MOVE37_OUT"], name), "w") as stream:
        stream.write("x")

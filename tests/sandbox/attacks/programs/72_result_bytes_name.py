"""Gives a result a name that is not UTF-8."""

import os

with open(os.fsencode(os.environ["MOVE37_OUT"]) + b"/\xff\xfe", "w") as stream:
    stream.write("x")

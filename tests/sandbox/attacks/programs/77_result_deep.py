"""Nests folders until the reader's stack ends."""

import os

os.chdir(os.environ["MOVE37_OUT"])
for _ in range(1500):
    os.mkdir("d")
    os.chdir("d")
os.close(os.open("file", os.O_CREAT | os.O_WRONLY))

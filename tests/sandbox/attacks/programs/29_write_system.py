"""Writes into the interpreter, its packages and the system."""

import os
import sys

import numpy
from attack import attempt


def write(folder):
    path = os.path.join(folder, "attack.txt")
    with open(path, "w") as stream:
        stream.write("attack")
    os.unlink(path)
    return path


for folder in (os.path.dirname(numpy.__file__), sys.prefix, os.path.dirname(os.__file__), "/usr", "/etc", "/"):
    attempt(folder, lambda folder=folder: write(folder))

"""What the attacking programs share; it travels into the sandbox beside them."""

import ctypes
import json
import os

with open("targets.json") as stream:
    TARGETS = json.load(stream)


def attempt(what, action):
    """Say whether it worked."""
    try:
        result = action()
    except BaseException as error:
        print(f"held: {what}: {error!r}", flush=True)
    else:
        print(f"ESCAPED: {what}: {result!r}"[:300], flush=True)


def call(function, *arguments):
    """A call of the C library that reports its failure in errno."""
    result = function(*arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result

"""What arrives on stdin, before the SDK reads it: half a surrogate costs a letter, and not the answer.

A client whose model cut an emoji in two writes `\\ud83d` into its request. The SDK takes such a line for no message at
all and answers nothing, so that the client waits until it gives up.
"""

from __future__ import annotations

import json
import os
import threading

from move37.lab.archive.codec import storable

PIECE = 1 << 16  # bytes


def mend_stdin() -> None:
    """Put a pipe in the place of stdin, into which every line is written as it can be read."""
    wire = os.dup(0)
    inside, outside = os.pipe()
    os.dup2(inside, 0, inheritable=False)
    os.close(inside)
    threading.Thread(target=_pass_on, args=(wire, outside), daemon=True, name="stdin").start()


def _pass_on(wire: int, outside: int) -> None:
    with os.fdopen(outside, "wb") as pipe:
        begun: list[bytes] = []
        try:
            while piece := os.read(wire, PIECE):
                *lines, rest = piece.split(b"\n")
                for line in lines:
                    pipe.write(mended(b"".join([*begun, line])) + b"\n")
                    begun = []
                begun.append(rest)
                pipe.flush()
            pipe.write(mended(b"".join(begun)))
        except OSError:  # the server has ended, and nobody reads any more
            return


def mended(line: bytes) -> bytes:
    """A line of JSON without half surrogates; another one as it is. Pure."""
    if b"\\ud" not in line.lower():
        return line
    try:
        return storable(json.dumps(json.loads(line), ensure_ascii=False)).encode()
    except (ValueError, RecursionError):
        return line

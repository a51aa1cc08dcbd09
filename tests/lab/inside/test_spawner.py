"""What the trusted process hears from a candidate's process that hangs."""

from __future__ import annotations

import os
import signal
import time
from typing import cast

import pytest

from move37.lab.inside import spawner
from move37.lab.inside.spawner import Process, where_it_hangs
from move37.lab.inside.wire import Channel

FRAME = b'  File "candidate.py", line %d in forward\n'


def hanging(pieces: list[bytes], seconds: float) -> Process:
    """A process that answers the signal with `pieces`, each after a pause of `seconds`."""
    ours, theirs = os.pipe()
    awake, tell = os.pipe()
    pid = os.fork()
    if pid == 0:

        def dump(*_: object) -> None:
            for piece in pieces:
                time.sleep(seconds)
                os.write(theirs, piece)
            time.sleep(60)

        signal.signal(spawner.HANGS, dump)
        os.write(tell, b"!")
        time.sleep(60)
        os._exit(0)
    os.close(theirs)
    os.read(awake, 1)
    os.close(awake)
    os.close(tell)
    return Process(pid, cast("Channel", None), 0, ours)


def over(process: Process) -> None:
    os.kill(process.pid, signal.SIGKILL)
    os.waitpid(process.pid, 0)
    os.close(process.hang)


@pytest.mark.parametrize("seconds", [0.0, 0.2])
def test_a_dump_that_comes_in_pieces_is_read_to_its_end(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spawner, "DUMP_SECONDS", 60.0)
    monkeypatch.setattr(spawner, "DUMP_PAUSE", 5.0)  # a busy machine stretches the pauses between pieces
    process = hanging(
        [b"Current thread (most recent call first):\n", FRAME % 7, FRAME % 9, b'  File "x.py"\n'], seconds
    )
    try:
        said = where_it_hangs(process)
    finally:
        over(process)

    assert said == (FRAME % 7 + FRAME % 9).decode().rstrip("\n")


def test_a_dump_without_end_and_a_silent_process_cost_seconds_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spawner, "DUMP_SECONDS", 1.0)
    for pieces in ([FRAME % 7] * 500, []):
        process = hanging(pieces, 0.05)
        began = time.monotonic()
        try:
            said = where_it_hangs(process)
        finally:
            over(process)

        assert time.monotonic() - began < 20.0  # all pieces take 25 s, the silent process a minute
        assert len(said.splitlines()) <= 20
        assert bool(said) == bool(pieces)

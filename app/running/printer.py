"""A program's output while it runs: passed on from a thread, so that a slow reader never holds the sandbox's clock."""

from __future__ import annotations

import os
import queue
import sys
import threading
from typing import TYPE_CHECKING

from move37.sandbox.text import Harmless

if TYPE_CHECKING:
    from move37.sandbox.job import Stream

TAIL = 4_096  # bytes of stderr that are kept for hints


class Printer:
    """stdout to stdout, stderr to stderr. `gone` says that nobody reads us any more (`| head`)."""

    def __init__(self, *, raw: bool) -> None:
        self._raw = raw
        self._filters = {"stdout": Harmless(), "stderr": Harmless()}
        self._targets = {"stdout": sys.stdout, "stderr": sys.stderr}
        self._ends_line = True
        self._waiting: queue.SimpleQueue[tuple[Stream, bytes, bool] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, daemon=True, name="exec-output")
        self._thread.start()
        self.gone = threading.Event()
        self.fault = ""  # why output could not be written; the program runs on
        self.tail = b""  # the end of stderr

    def hear(self, stream: Stream, data: bytes) -> None:
        """Raises `BrokenPipeError` when nobody reads us any more, which ends the program."""
        if self.gone.is_set():
            raise BrokenPipeError
        if stream == "stderr":
            self.tail = (self.tail + data)[-TAIL:]
        self._waiting.put((stream, data, False))

    def finish(self) -> None:
        """Wait until everything is written, half a character at the end too. Raises `BrokenPipeError`."""
        self._waiting.put(("stdout", b"", True))
        self._waiting.put(("stderr", b"", True))
        self._waiting.put(None)
        self._thread.join()
        if self.gone.is_set():
            raise BrokenPipeError

    def say(self, message: str) -> None:
        """A line of our own on stderr, never glued to the program's. After `finish`."""
        start = "" if self._ends_line else "\n"
        print(f"{start}move37: {message}", file=sys.stderr, flush=True)
        self._ends_line = True

    def _write(self) -> None:
        while (item := self._waiting.get()) is not None:
            stream, data, last = item
            if not self._raw:
                data = self._filters[stream].feed(data, last=last).encode()
            if not data:
                continue
            try:
                self._targets[stream].buffer.write(data)
                self._targets[stream].buffer.flush()
            except OSError as error:
                # Python must not complain at exit, and another disk's fullness ends no program.
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._targets[stream].fileno())
                if isinstance(error, BrokenPipeError):
                    self.gone.set()
                    return
                self.fault = self.fault or error.strerror or str(error)
            self._ends_line = data.endswith(b"\n")

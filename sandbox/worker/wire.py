"""The worker's end of the wire between host and sandbox; `sandbox/channel.py` is the other.

A frame is one byte of kind, four bytes of length (big endian), then the payload (<= 16 MiB).
    host -> worker   J  {"id", "argv", "env", "collect", "writable", "stdin": size, "limits": {...},
                         "files": [[path, size, executable], ...]}
                     D  what it reads on standard input, then the content of those files, in order, cut anywhere
                     C  {"id"}: kill this job; ignored when it has ended
    worker -> host   R  {"pid", "python", "torch", "warm_seconds", "report"}: once, when warm
                     S  {"id"}: the program starts now
                     1  2  bytes of stdout, stderr
                     E  {"id", "exit_code", "signal", "reason", "out_of_memory", "wall_seconds", "cpu_seconds",
                         "peak_memory_bytes", "truncated", "refused", "broken", "left_out": [[name, why], ...],
                         "left_out_count", "files": [[name, size, executable], ...]}
                         reason: null, "timeout", "cancelled" or "memory"; broken: why the program never started
                     D  content of those files, in order, cut anywhere
The worker serves one job at a time and exits when its standard input ends.
"""

from __future__ import annotations

import json
import os
import select
import struct
from collections import deque
from collections.abc import Iterator
from typing import Any

Spec = dict[str, Any]  # one job, as the J frame carries it

HEADER = struct.Struct(">cI")
MAX_FRAME = 16 * 1024 * 1024
CHUNK = 64 * 1024
MAX_WAITING = 4 * 1024 * 1024  # bytes of output that wait for a host that does not read; past it the job waits


class Gone(Exception):
    """The other end of the channel has closed."""


class Wire:
    """Frames over two file descriptors. What a job writes is queued and never waited for: its time goes on."""

    def __init__(self, reader: int, writer: int) -> None:
        self.reader = reader
        self.writer = writer
        os.set_blocking(writer, False)
        self._queue: deque[bytearray] = deque()
        self._waiting = 0

    def _exactly(self, size: int) -> bytes:
        parts = []
        while size:
            part = os.read(self.reader, min(size, CHUNK * 16))
            if not part:
                raise Gone
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def receive(self) -> tuple[bytes, bytes]:
        kind, length = HEADER.unpack(self._exactly(HEADER.size))
        if length > MAX_FRAME:
            raise Gone
        return kind, self._exactly(length)

    @property
    def waiting(self) -> int:
        """Bytes that the host has not taken yet."""
        return self._waiting

    @property
    def full(self) -> bool:
        """More should not be queued."""
        return self._waiting >= MAX_WAITING

    def queue(self, kind: bytes, payload: bytes) -> None:
        """For `push`, as soon as the host reads."""
        framed = bytearray(HEADER.pack(kind, len(payload)) + payload)
        self._waiting += len(framed)
        if self._queue and len(self._queue[-1]) < CHUNK:
            self._queue[-1] += framed
        else:
            self._queue.append(framed)

    def push(self) -> None:
        """Write what the host takes now. Raises `Gone`."""
        try:
            while self._queue:
                written = os.write(self.writer, self._queue[0])
                self._waiting -= written
                if written < len(self._queue[0]):
                    del self._queue[0][:written]
                else:
                    self._queue.popleft()
        except BlockingIOError:
            return
        except BrokenPipeError as error:
            raise Gone from error

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        """Now, and all that waits before it, however long the host takes."""
        self.queue(kind, payload)
        self.push()
        while self._queue:
            select.select([], [self.writer], [])
            self.push()

    def tell(self, kind: bytes, **fields: Any) -> None:
        self.send(kind, json.dumps(fields, ensure_ascii=False).encode())


class Incoming:
    """The content of all files of a job, however it was cut into frames."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._rest = b""
        self.taken = 0

    def take(self, size: int) -> Iterator[bytes]:
        while size:
            if not self._rest:
                kind, self._rest = self._wire.receive()
                if kind != b"D":
                    raise Gone
            part, self._rest = self._rest[:size], self._rest[size:]
            size -= len(part)
            self.taken += len(part)
            yield part


def take_channel() -> Wire:
    """Move the channel away from descriptors 0 and 1, so that no child and no print can reach it."""
    wire = Wire(os.dup(0), os.dup(1))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    return wire

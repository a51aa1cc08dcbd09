"""Docker sends stdout and stderr of a container through one socket, in pieces with a header."""

from __future__ import annotations

import struct

STDOUT, STDERR = 1, 2
PIECE = struct.Struct(">BxxxI")


class AttachStream:
    """Docker's stream of stdout and stderr, cut into (stream, bytes) as it arrives."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """What `data` completes; a piece may be cut anywhere, its header too."""
        self._buffer += data
        found: list[tuple[int, bytes]] = []
        at = 0
        while len(self._buffer) - at >= PIECE.size:
            stream, size = PIECE.unpack_from(self._buffer, at)
            end = at + PIECE.size + size
            if len(self._buffer) < end:
                break
            found.append((stream, bytes(self._buffer[at + PIECE.size : end])))
            at = end
        del self._buffer[:at]
        return found

"""Messages between the trusted process and the candidate's: a small JSON head on a socket, tensors in shared memory.

`Channel` is one end. A message is a request or the one reply to it, so one region serves both directions: the reader of
a message copies its tensors out first. Messages from the candidate's process are checked here: sizes, types and shapes;
nothing is unpickled.
"""

from __future__ import annotations

import json
import math
import mmap
import socket
import struct
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

LARGEST_HEAD = 4 * 2**20  # bytes of JSON; one holds the source of a candidate
MOST_TENSORS = 4096
MOST_DIMENSIONS = 16  # of a tensor; torch itself handles some more, and not everywhere
_ALIGNED = 64
DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.complex64, torch.complex128,
        torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool,
    )
}  # fmt: skip

Head = dict[str, Any]


class ChannelClosed(Exception):
    """The other process has ended."""


class BadMessage(Exception):
    """The other process sent something that is no message, or a tensor of a kind that messages do not hold."""


class Channel:
    """One end of the line between two processes. `region` is memory that both share."""

    def __init__(self, line: socket.socket, region: mmap.mmap) -> None:
        self.line = line
        self.region = region

    def send(self, head: Head, tensors: Sequence[Tensor] = ()) -> None:
        """Raises `ChannelClosed`, and `BadMessage` where the tensors do not fit or are of a kind that cannot travel."""
        data = json.dumps(head | {"tensors": self._lay(tensors)}).encode()
        if len(data) > LARGEST_HEAD:
            raise BadMessage("a message is too long")
        try:
            self.line.sendall(struct.pack("<I", len(data)) + data)
        except OSError as error:
            raise ChannelClosed(str(error)) from error

    def receive(self) -> tuple[Head, list[Tensor]]:
        """Raises `ChannelClosed`, `BadMessage`, and `TimeoutError` where the line has a time-out."""
        (size,) = struct.unpack("<I", self._read(4))
        if size > LARGEST_HEAD:
            raise BadMessage("a message is too long")
        try:
            head = json.loads(self._read(size))
            return head, self._take(head.pop("tensors"))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise BadMessage(f"a message cannot be read: {type(error).__name__}") from error

    def close(self) -> None:
        self.line.close()

    def _read(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            try:
                part = self.line.recv(size - len(parts))
            except TimeoutError:
                raise
            except OSError as error:
                raise ChannelClosed(str(error)) from error
            if not part:
                raise ChannelClosed("the other end is gone")
            parts += part
        return bytes(parts)

    def _lay(self, tensors: Sequence[Tensor]) -> list[list[Any]]:
        """Write tensors one behind the other; their types and shapes."""
        at, kinds = 0, []
        for tensor in tensors:
            kind = str(tensor.dtype).removeprefix("torch.")
            if kind not in DTYPES or tensor.layout is not torch.strided:
                raise BadMessage(f"a tensor of {tensor.dtype} with layout {tensor.layout} cannot travel")
            if tensor.dim() > MOST_DIMENSIONS:
                raise BadMessage(f"a tensor of more than {MOST_DIMENSIONS} dimensions cannot travel")
            size = tensor.numel() * tensor.element_size()
            if at + size > len(self.region):
                raise BadMessage(f"tensors of more than {len(self.region)} bytes cannot travel")
            if size:
                self._view(at, tensor.dtype, tensor.numel()).view(tensor.shape).copy_(tensor.detach())
            kinds.append([kind, list(tensor.shape)])
            at += -(-size // _ALIGNED) * _ALIGNED
        return kinds

    def _take(self, kinds: list[list[Any]]) -> list[Tensor]:
        if len(kinds) > MOST_TENSORS:
            raise ValueError("too many tensors")
        at, tensors = 0, []
        for kind, shape in kinds:
            dtype = DTYPES[kind]
            if len(shape) > MOST_DIMENSIONS or not all(type(n) is int and 0 <= n <= len(self.region) for n in shape):
                raise ValueError("no shape")
            numbers = math.prod(shape)
            size = numbers * dtype.itemsize
            if numbers == 0 and math.prod(n for n in shape if n) > len(self.region):  # torch multiplies these too
                raise ValueError("no shape")
            if at + size > len(self.region):
                raise ValueError("outside the region")
            tensors.append(
                self._view(at, dtype, numbers).clone().view(shape) if size else torch.empty(shape, dtype=dtype)
            )
            at += -(-size // _ALIGNED) * _ALIGNED
        return tensors

    def _view(self, at: int, dtype: torch.dtype, numbers: int) -> Tensor:
        return torch.frombuffer(self.region, dtype=dtype, count=numbers, offset=at)

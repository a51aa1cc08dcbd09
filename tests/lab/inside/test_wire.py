"""A message from a candidate's process is a message, or it is refused; nothing in it ends the trusted process."""

from __future__ import annotations

import json
import mmap
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from move37.lab.inside.wire import MOST_DIMENSIONS, BadMessage, Channel

REGION = 2**16


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, Channel]]:
    theirs, ours = socket.socketpair()
    yield theirs, Channel(ours, mmap.mmap(-1, REGION))
    theirs.close()
    ours.close()


def say(line: socket.socket, head: Any) -> None:
    data = json.dumps(head).encode()
    line.sendall(struct.pack("<I", len(data)) + data)


NO_SHAPES = {
    "too large": [REGION],
    "a product that overflows, of nothing": [2**62, 2**62, 0],
    "one number that overflows": [0, 2**70],
    "many lengths of nothing": [0, *[REGION] * 7],
    "dimensions without end": [1] * 3000,
    "one dimension more than allowed": [1] * (MOST_DIMENSIONS + 1),
    "less than nothing": [-1],
    "no numbers": [True, "2"],
    "a fraction": [1.5],
    "no list": 7,
}


@pytest.mark.parametrize("kind", NO_SHAPES)
def test_what_is_no_shape_is_refused(ends: tuple[socket.socket, Channel], kind: str) -> None:
    line, channel = ends
    say(line, {"tensors": [["float32", NO_SHAPES[kind]]]})
    with pytest.raises(BadMessage):
        channel.receive()


@pytest.mark.parametrize("shape", [[], [0], [0, 5], [3, 1, 2], [1] * MOST_DIMENSIONS])
def test_a_tensor_arrives_as_it_was_sent(ends: tuple[socket.socket, Channel], shape: list[int]) -> None:
    line, channel = ends
    sent = torch.randn(shape)
    Channel(line, channel.region).send({}, [sent])
    _, (came,) = channel.receive()
    assert torch.equal(came, sent)
    with pytest.raises(BadMessage, match="dimensions"):
        channel.send({}, [torch.ones([1] * (MOST_DIMENSIONS + 1))])

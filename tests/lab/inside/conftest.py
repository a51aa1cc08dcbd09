"""One spawner for a whole module, forked from the test's own process."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from move37.lab.inside.remote import Remote
from move37.lab.inside.spawner import Spawner

Start = Callable[[str], Remote]


@pytest.fixture(scope="module")
def spawner() -> Iterator[Spawner]:
    torch.set_num_threads(1)
    made = Spawner([])
    yield made
    made.close()


@pytest.fixture
def start(spawner: Spawner) -> Iterator[Start]:
    """A candidate's process for a source; ended with the test."""
    made: list[Remote] = []

    def begin(source: str) -> Remote:
        made.append(Remote(spawner, source))
        return made[-1]

    yield begin
    for remote in made:
        remote.end()

"""The lab at a few steps: real code paths in seconds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from move37.lab.scale import CPU


@contextmanager
def default_scale_of(steps: int) -> Iterator[None]:
    """The default scale, with the noise that the lab measured for it, trains so many steps."""
    before = CPU.steps
    object.__setattr__(CPU, "steps", steps)
    try:
        yield
    finally:
        object.__setattr__(CPU, "steps", before)


def slow_but(names: Iterable[object], fast: Collection[object]) -> list[Any]:
    """Parameters of a test that proves the same of each: `fast` ones in `make test`, the others with the slow tests."""
    return [pytest.param(name, marks=() if name in fast else pytest.mark.slow) for name in names]

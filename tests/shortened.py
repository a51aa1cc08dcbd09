"""The lab at a few steps: real code paths in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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

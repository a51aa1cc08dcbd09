"""Engines that lock their folder, shared inside one process.

Two memories of one process may name the same folder (a component and its copy made from a dump); the engine would
refuse the second. So an opened engine is kept by its folder and counted, and closed with its last user.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

_lock = threading.Lock()
_open: dict[Path, list[Any]] = {}  # folder -> [engine, users]


def acquire(folder: Path, make: Callable[[], Any]) -> Any:
    """The folder's engine, made by the first who asks."""
    with _lock:
        held = _open.get(folder.resolve())
        if held is None:
            held = _open[folder.resolve()] = [make(), 0]
        held[1] += 1
        return held[0]


def alone(folder: Path) -> bool:
    """Whether at most one user has the folder's engine."""
    with _lock:
        held = _open.get(folder.resolve())
        return held is None or held[1] <= 1


def release(folder: Path, close: Callable[[Any], None]) -> None:
    """One user less; the last one closes."""
    with _lock:
        held = _open.get(folder.resolve())
        if held is None:
            return
        held[1] -= 1
        if held[1] <= 0:
            del _open[folder.resolve()]
            close(held[0])

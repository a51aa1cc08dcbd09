"""Tasks: a `Task` is a candidate contract, gates, rungs and baselines. `open_task` opens one by name.

To add one: a file beside `mixers.py` and a record in `registry.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from move37.lab.errors import BadTask
from move37.lab.scale import CPU, Scale
from move37.lab.tasks.registry import folder_of, kind_of

if TYPE_CHECKING:
    from move37.lab.judging.checked import Checked
    from move37.lab.tasks.task import Task


def open_task(name: str, *, cache: Path, corpus: Path | None = None, scale: Scale = CPU, device: str = "cpu") -> Task:
    """The task called `name`, as after --task. `cache` holds what it builds; `corpus` is the user's own text.

    `scale` and `device` say where trainings take place, for a task that trains networks.

    Raises `BadTask` (unknown task, a folder that cannot be used) and `BadCorpus`, each with one line to act on.
    """
    kind = kind_of(name)
    if corpus is not None and not kind.takes_corpus:
        raise BadTask(f"--corpus does not go with --task {kind.usage}")
    where = {"scale": scale, "device": device} if kind.scales else {}
    if not kind.scales and (scale != CPU or device != "cpu"):
        raise BadTask(f"--scale and --device do not go with --task {kind.usage}: it brings its own size")
    task: Task = import_module(kind.module).open_task(folder_of(name), cache=cache, corpus=corpus, **where)
    return task


def open_gates(name: str, *, cache: Path) -> Callable[..., Awaitable[Checked]]:
    """The function that runs the gates of that task, without building data where they need none. Raises `BadTask`."""
    kind = kind_of(name)
    if kind.gates:
        found: Callable[..., Awaitable[Checked]] = import_module(kind.gates).run_gates
        return found
    return open_task(name, cache=cache).check

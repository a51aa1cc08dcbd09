"""What there is to discover: a `Task` is a candidate contract, gates, rungs and baselines. `open_task` names them all.

To add one: a file beside `mixers.py` and a line in `open_task`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from move37.lab.errors import BadTask
from move37.lab.scale import CPU, Scale

if TYPE_CHECKING:
    from move37.lab.tasks.task import Task

PROGRAM_PREFIX = "program:"


def open_task(name: str, *, cache: Path, corpus: Path | None = None, scale: Scale = CPU, device: str = "cpu") -> Task:
    """The task called `name`: "mixers", or "program:DIR". `cache` holds the built corpus; `corpus` is the person's own.

    `scale` and `device` are the mixers'.

    Raises `BadTask` (unknown task, a folder that cannot be used) and `BadCorpus`, each with one line to act on.
    """
    if name == "mixers":
        from move37.lab.tasks.mixers import MixersTask

        return MixersTask.open(cache=cache, corpus=corpus, scale=scale, device=device)
    if name.startswith(PROGRAM_PREFIX):
        from move37.lab.tasks.program import ProgramTask

        if corpus is not None:
            raise BadTask("--corpus goes with --task mixers only")
        if scale != CPU or device != "cpu":
            raise BadTask("--scale and --device go with --task mixers only: a program brings its own size")
        return ProgramTask.open(Path(name.removeprefix(PROGRAM_PREFIX)).expanduser())
    raise BadTask(f"unknown task {name!r}: use mixers, or program:DIR")

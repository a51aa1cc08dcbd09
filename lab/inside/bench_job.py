"""How a job begins and ends that asks a candidate's file questions on a `Bench`: the gates', and an audit's."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch

from move37.lab.inside import process_locks
from move37.lab.inside.bench import Bench
from move37.lab.inside.job import TRAVELLED, load_kernels
from move37.lab.inside.spawner import Spawner

Order = Mapping[str, Any]


def with_bench(work: Callable[[Bench, Order], None]) -> NoReturn:
    """Do `work` as order.json says, and end the process. Nothing is read before the spawner exists."""
    torch.set_num_threads(1)
    load_kernels()
    spawner = Spawner(process_locks.job_files(keep=TRAVELLED))
    order: Order = json.loads(Path("order.json").read_text())
    bench = Bench(spawner, Path("candidate.py").read_text(), seconds=order["seconds"])
    work(bench, order)
    bench.close()
    spawner.close()
    os._exit(0)

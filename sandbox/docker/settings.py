"""The settings of the Docker backend; plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Runtime = Literal["", "runc", "crun", "runsc"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerSettings:
    """One `DockerSandbox`'s settings."""

    image: str = ""  # name or id; empty: our own image of the wanted variant, refused when its recipe is stale
    runtime: Runtime = ""  # empty: the daemon's default; "runsc" is gVisor
    warm: int | None = None  # idle containers kept ready; None: sized to the machine; 0: start on demand
    held: int | None = None  # candidates whose containers are kept at once; None: sized to the machine
    start_seconds: float = 120.0  # until a new container says that it is ready
    gpu_wait_seconds: float = 3600.0  # in the queue for a free GPU
    gpu_memory_fraction: float = 1.0  # of each leased device, set inside before the job's first CUDA call

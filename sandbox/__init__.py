"""Runs code that we do not trust: Docker where it is, bare processes otherwise.

`open_sandbox` chooses a backend, `Job` goes in, `Outcome` comes out; `move37 exec` and AutoGen's executors are built
on nothing else. Names are imported when they are used: looking at a job needs neither Docker nor torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from move37.sandbox.docker.backend import DockerSandbox
    from move37.sandbox.executor import SandboxCodeExecutor
    from move37.sandbox.factory import open_sandbox
    from move37.sandbox.job import Job, Limits, Outcome, Protection, Status
    from move37.sandbox.process.backend import ProcessSandbox
    from move37.sandbox.sandbox import Sandbox

_WHERE = {
    "open_sandbox": "move37.sandbox.factory",
    "DockerSandbox": "move37.sandbox.docker.backend",
    "SandboxCodeExecutor": "move37.sandbox.executor",
    "Job": "move37.sandbox.job",
    "Limits": "move37.sandbox.job",
    "Outcome": "move37.sandbox.job",
    "Protection": "move37.sandbox.job",
    "Status": "move37.sandbox.job",
    "ProcessSandbox": "move37.sandbox.process.backend",
    "Sandbox": "move37.sandbox.sandbox",
}

__all__ = [
    "DockerSandbox",
    "Job",
    "Limits",
    "Outcome",
    "ProcessSandbox",
    "Protection",
    "Sandbox",
    "SandboxCodeExecutor",
    "Status",
    "open_sandbox",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)

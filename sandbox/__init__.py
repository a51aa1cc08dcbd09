"""Runs code that we do not trust: Docker where it is, bare processes otherwise.

`open_sandbox` chooses a backend, `Job` goes in, `Outcome` comes out; `move37 exec` and AutoGen's executors are built
on nothing else. Names are imported when they are used: looking at a job needs neither Docker nor torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.choose import open_sandbox
    from sandbox.docker.backend import DockerSandbox
    from sandbox.executor import SandboxCodeExecutor
    from sandbox.job import Job, Limits, Outcome, Protection, Status
    from sandbox.process.backend import ProcessSandbox
    from sandbox.sandbox import Sandbox

_WHERE = {
    "open_sandbox": "sandbox.choose",
    "DockerSandbox": "sandbox.docker.backend",
    "SandboxCodeExecutor": "sandbox.executor",
    "Job": "sandbox.job",
    "Limits": "sandbox.job",
    "Outcome": "sandbox.job",
    "Protection": "sandbox.job",
    "Status": "sandbox.job",
    "ProcessSandbox": "sandbox.process.backend",
    "Sandbox": "sandbox.sandbox",
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

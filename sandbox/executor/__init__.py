"""AutoGen's code executor on our sandbox: `executor` (the class), `options` (what is set, what is refused), `workspace`
(the folder that travels), `session_entry` (beside the code: variables that live between blocks), `background` (a loop).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from move37.sandbox.executor.executor import SandboxCodeExecutor
    from move37.sandbox.executor.options import SandboxCodeExecutorConfig, SandboxCodeResult, gpus_of

_WHERE = {
    "SandboxCodeExecutor": "executor",
    "SandboxCodeExecutorConfig": "options",
    "SandboxCodeResult": "options",
    "gpus_of": "options",
}

__all__ = ["SandboxCodeExecutor", "SandboxCodeExecutorConfig", "SandboxCodeResult", "gpus_of"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"move37.sandbox.executor.{_WHERE[name]}"), name)

"""Opens the process backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from move37.sandbox.process.backend import ProcessSandbox
from move37.sandbox.process.zygote_process import Settings
from move37.sandbox.sandbox import Sandbox

if TYPE_CHECKING:
    from move37.sandbox.factory import Wanted


async def open_backend(wanted: Wanted) -> Sandbox:
    """Nothing is started before the first job."""
    return ProcessSandbox(1 if wanted.single else wanted.workers, settings=Settings(warm=not wanted.single))

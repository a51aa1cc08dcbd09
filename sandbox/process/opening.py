"""Opens the process backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from move37.sandbox.process.backend import ProcessSandbox
from move37.sandbox.process.zygote_process import ZygoteSettings
from move37.sandbox.sandbox import Sandbox

if TYPE_CHECKING:
    from move37.sandbox.factory import Wanted


async def open_backend(wanted: Wanted) -> Sandbox:
    """Starts nothing before the first job, except where a language model wrote the code: then what holds it is looked
    at first, and `SandboxUnavailable` says what is missing."""
    sandbox = ProcessSandbox(1 if wanted.single else wanted.workers, settings=ZygoteSettings(warm=not wanted.single))
    if wanted.trusted_source == "model":
        try:
            await sandbox.require_isolation()
        except BaseException:
            await sandbox.close()
            raise
    return sandbox

"""The options of a `SandboxCodeExecutor`, what it refuses on purpose, and its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autogen_ext.code_executors._common import CommandLineCodeResult, lang_to_cmd
from pydantic import BaseModel, Field

from move37.sandbox.errors import RefusedRequest
from move37.sandbox.factory import Kind
from move37.sandbox.gpus import list_gpus
from move37.sandbox.job import MIB


class SandboxCodeExecutorConfig(BaseModel):
    """What is kept when an executor is dumped; unlike AutoGen's, the GPU request is part of it."""

    image: str | None = None
    container_name: str | None = None
    timeout: int = 60  # seconds, one block
    work_dir: str | None = None
    device_requests: list[dict[str, Any]] | None = None
    functions_module: str = "functions"
    init_command: str | None = None
    delete_tmp_files: bool = False
    sandbox: Kind = "auto"
    memory_bytes: int = 2048 * MIB
    output_bytes: int = 1 * MIB
    workspace_bytes: int = 256 * MIB
    stateful: bool = False
    languages: dict[str, str] = Field(default_factory=dict)  # more of them: name -> command of the image


@dataclass
class SandboxCodeResult(CommandLineCodeResult):  # type: ignore[misc]  # AutoGen's extensions have no types
    """AutoGen's result, with what the blocks used, measured from outside."""

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0


def refuse(
    extra_volumes: Mapping[str, Mapping[str, str]] | None, extra_hosts: Mapping[str, str] | None, *, kept: bool
) -> None:
    """What AutoGen's executor offers and a sandbox must not. Raises `RefusedRequest`."""
    if extra_volumes:
        raise RefusedRequest("extra_volumes is refused: no host folder is mounted; put files into work_dir instead")
    if extra_hosts:
        raise RefusedRequest("extra_hosts is refused: the sandbox has no network; fetch what the code needs before")
    if kept:
        raise RefusedRequest("auto_remove=False and stop_container=False are refused: nothing outlives the sandbox")


def command_of(language: str, more: Mapping[str, str]) -> str:
    """The command that runs a language. Raises `ValueError` for one that is not known."""
    if language in more:
        return more[language]
    command = str(lang_to_cmd(language))
    return "python" if command.startswith("python") else command


def gpus_of(requests: Sequence[Mapping[str, Any]] | None) -> int:
    """How many GPUs Docker's requests ask for; -1 there means all of this machine.

    Raises `RefusedRequest` for any other kind of device.
    """
    total = 0
    for request in requests or ():
        fields = {str(key).lower(): value for key, value in request.items()}
        capabilities = {name for group in fields.get("capabilities") or () for name in group}
        if "gpu" not in capabilities:
            raise RefusedRequest("device_requests may ask for GPUs only (capabilities=[['gpu']])")
        if ids := fields.get("deviceids") or fields.get("device_ids"):
            total += len(ids)
        elif (count := int(fields.get("count") or 0)) < 0:
            total += max(1, len(list_gpus()))
        else:
            total += count
    return total

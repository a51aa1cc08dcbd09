"""GPUs: what this machine has (as NVML sees it; a card that is cut into MIG slices is listed as its slices), and how a
job is told which are its own. Who may use which one now stands in `gpu_leases`.

Tested with a fake NVML only: no machine of ours has a GPU. Not covered: AMD, Apple.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One device that can be handed out: a whole card, or one MIG slice."""

    uuid: str  # "GPU-..." or "MIG-..."
    name: str
    memory_bytes: int
    parent: str = ""  # UUID of the card that a slice belongs to


class Nvml(Protocol):
    """What we need of `pynvml`."""

    NVMLError: type[Exception]

    def nvmlInit(self) -> None: ...
    def nvmlShutdown(self) -> None: ...
    def nvmlDeviceGetCount(self) -> int: ...
    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any: ...
    def nvmlDeviceGetUUID(self, handle: Any) -> str | bytes: ...
    def nvmlDeviceGetName(self, handle: Any) -> str | bytes: ...
    def nvmlDeviceGetMemoryInfo(self, handle: Any) -> Any: ...
    def nvmlDeviceGetMigMode(self, handle: Any) -> Sequence[int]: ...
    def nvmlDeviceGetMaxMigDeviceCount(self, handle: Any) -> int: ...
    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: Any, index: int) -> Any: ...


def list_gpus(nvml: Nvml | None = None) -> tuple[Gpu, ...]:
    """Every device that can be leased; empty on a machine without NVIDIA's driver."""
    if nvml is None:
        import pynvml

        nvml = pynvml
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return ()
    try:
        found: list[Gpu] = []
        for index in range(nvml.nvmlDeviceGetCount()):
            found += _devices_of(nvml, nvml.nvmlDeviceGetHandleByIndex(index))
        return tuple(found)
    finally:
        nvml.nvmlShutdown()


def _devices_of(nvml: Nvml, card: Any) -> list[Gpu]:
    try:
        is_cut = bool(nvml.nvmlDeviceGetMigMode(card)[0])
    except nvml.NVMLError:  # a card that knows no MIG
        is_cut = False
    if not is_cut:
        return [_describe(nvml, card, parent="")]
    parent = _text(nvml.nvmlDeviceGetUUID(card))
    slices: list[Gpu] = []
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(card)):
        try:
            part = nvml.nvmlDeviceGetMigDeviceHandleByIndex(card, index)
        except nvml.NVMLError:  # this place is empty
            continue
        slices.append(_describe(nvml, part, parent=parent))
    return slices


def _describe(nvml: Nvml, handle: Any, *, parent: str) -> Gpu:
    return Gpu(
        uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
        name=_text(nvml.nvmlDeviceGetName(handle)),
        memory_bytes=int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
        parent=parent,
    )


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def gpu_environment(devices: tuple[str, ...], memory_fraction: float) -> dict[str, str]:
    """What a job with GPUs finds in its environment: the devices it leased, and its share of their memory."""
    environment = {"CUDA_VISIBLE_DEVICES": ",".join(devices)}
    if memory_fraction < 1:
        environment["PYTORCH_ALLOC_CONF"] = f"per_process_memory_fraction:{memory_fraction:g}"
    return environment

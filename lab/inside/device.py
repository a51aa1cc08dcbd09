"""On which device a job computes: a GPU where the sandbox gave it one, else the CPU. Nothing of this ran on a card yet.

Read `given` (asked before anything is forked: it touches no driver, and a process whose parent did could not use the
card), then `chosen` (asked after the fork), then `PEAKS`.

The trusted process multiplies in bfloat16 where the card has it. Mixers stay in float32 with TF32 off: whether their
gradients are those of their forward pass is asked by shifts of 2.5e-4 (`verify`), which eight bits cannot show, and a
step that is checked must look like any other.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

# Counts as a missing lock: trusted process and candidate share a card, and attacks on that were never tried.
GPU = "a GPU of its own"
# Dense products a second of one device, by its maker's data sheet; the first name that stands in the device's counts.
PEAKS: tuple[tuple[str, dict[str, float]], ...] = (
    ("B200", {"bfloat16": 2250e12}),
    ("H200", {"bfloat16": 989e12, "float32": 67e12}),
    ("H100 PCIe", {"bfloat16": 756e12, "float32": 51e12}),
    ("H100", {"bfloat16": 989e12, "float32": 67e12}),
    ("A100", {"bfloat16": 312e12, "float32": 19.5e12}),
    ("L40S", {"bfloat16": 362e12, "float32": 91.6e12}),
    ("L4", {"bfloat16": 121e12, "float32": 30.3e12}),
    ("RTX 4090", {"bfloat16": 165e12, "float32": 82.6e12}),
    ("RTX 3090", {"bfloat16": 71e12, "float32": 35.6e12}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Where tensors lie, and in which dtype the trusted process multiplies."""

    kind: str = "cpu"  # "cpu" or "cuda"
    products: str = "float32"  # or "bfloat16"
    model: str = ""  # as the driver names it

    @property
    def peak_flops(self) -> float:
        """A second; 0 where no data sheet is known, as of every CPU."""
        return peak_of(self.model, self.products)

    def autocast(self) -> Any:
        """Around the trusted process's own forward pass while it trains."""
        if self.products == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self.kind, dtype=torch.bfloat16)


def peak_of(model: str, products: str) -> float:
    """FLOPs a second of a device's products; 0 where it is not known."""
    return next((peaks.get(products, 0.0) for name, peaks in PEAKS if name in model), 0.0)


def given() -> bool:
    """Whether the sandbox leased this job a GPU. Reads the environment alone."""
    return bool(os.environ.get("CUDA_VISIBLE_DEVICES"))


def threads() -> int:
    """That the sandbox allows; they serve a GPU. Without one a training has one, whatever the machine."""
    count = os.environ.get("OMP_NUM_THREADS", "1")
    return int(count) if given() and count.isdigit() else 1


def chosen() -> Device:
    """This process's device. It starts the driver: never before a fork.

    Raises `RuntimeError` where a leased card does not answer; it never falls back to the CPU.
    """
    if not given():
        return Device()
    if not torch.cuda.is_available():
        raise RuntimeError("the sandbox gave this job a GPU, and PyTorch cannot use it: see `move37 doctor`")
    torch.backends.cudnn.allow_tf32 = False
    products = "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return Device(kind="cuda", products=products, model=torch.cuda.get_device_name())


def nodes() -> list[str]:
    """Of the cards, as the driver opens them for reading and writing."""
    return sorted(str(path) for path in Path("/dev").glob("nvidia*"))


def start() -> torch.device:
    """Open the device in a candidate's process, before its locks are set and before the candidate's code runs."""
    if not given():
        return torch.device("cpu")
    chosen()
    one = torch.ones(8, 8, device="cuda")
    torch.cuda.synchronize()
    del one
    return torch.device("cuda")

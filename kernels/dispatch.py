"""Which implementation serves a call: by device, unless the caller says otherwise.

    CUDA tensors -> "triton";  everything else -> "chunked";  "reference" only on request.

`with implementation("reference"): ...` overrides it for the calls inside, also in other tasks started there; no
environment variable is read. A compiled function keeps the choice that held when it was compiled. Triton is imported
when a call first needs it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from importlib.util import find_spec
from typing import Literal

import torch

from move37.kernels.errors import BadDevice, BadOption

Implementation = Literal["reference", "chunked", "triton"]
IMPLEMENTATIONS: tuple[Implementation, ...] = ("reference", "chunked", "triton")

_override: ContextVar[Implementation | None] = ContextVar("kernels_implementation", default=None)


@contextlib.contextmanager
def implementation(name: Implementation) -> Iterator[None]:
    """Serve every call inside with `name`. Raises BadOption for an unknown one."""
    if name not in IMPLEMENTATIONS:
        raise BadOption("implementation", name, f"one of {', '.join(IMPLEMENTATIONS)}")
    token = _override.set(name)
    try:
        yield
    finally:
        _override.reset(token)


def choose(device: torch.device) -> Implementation:
    """The implementation for tensors on `device`. Raises BadDevice where Triton is wanted and cannot run."""
    name = _override.get()
    if name is None:
        return "triton" if device.type == "cuda" and triton_is_installed() else "chunked"
    if name == "triton" and device.type != "cuda" and not interpreting():
        raise BadDevice("the input", device, "a CUDA device for the Triton kernels (or Triton must be interpreting)")
    if name == "triton" and not triton_is_installed():
        raise BadDevice("the input", device, "a machine with the package triton installed")
    return name


# What torch.compiler.assume_constant_result does, without importing the compiler for it.
choose._dynamo_marked_constant = True  # type: ignore[attr-defined]


def triton_is_installed() -> bool:
    """Whether the package is there; it is not imported."""
    return find_spec("triton") is not None


def interpreting() -> bool:
    """Whether Triton runs its kernels on CPU tensors in this process (TRITON_INTERPRET=1 before its import)."""
    if not triton_is_installed():
        return False
    from move37.kernels.common.triton_launch import interpreting as answer

    return answer()

"""Compile every Triton kernel for a GPU that is not here: `python -m benchmarks.kernels --compile`.

Triton carries its own compiler and assembler, so that only the launch needs a card. A stand-in for the driver names the
target, and `JITFunction.run` stops after compiling. What this shows: every kernel and configuration becomes machine
code, and how much shared memory it asks for. What it does not show: that the numbers are right there, or fast.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import torch

SHARED_BYTES = 227 * 1024  # what one block may use on an H100


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """One kernel in one configuration."""

    name: str
    warps: int
    stages: int
    shared_bytes: int
    code_bytes: int
    registers: int  # of a thread
    stack_bytes: int  # of a thread: what did not fit into registers


class _Driver:
    """What Triton asks of a driver before a launch."""

    def __init__(self, capability: int) -> None:
        from triton.backends.compiler import GPUTarget

        self._target = GPUTarget("cuda", capability, 32)

    def get_current_target(self) -> Any:
        return self._target

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, _device: int = 0) -> int:
        return 0

    def get_active_torch_device(self) -> torch.device:
        return torch.device("cpu")


@contextmanager
def compiling_only(capability: int, found: list[Compiled]) -> Iterator[None]:
    """Inside, a launch compiles all configurations of its kernel and runs none."""
    import triton
    from triton.runtime.autotuner import Autotuner
    from triton.runtime.jit import JITFunction

    run, tune = JITFunction.run, Autotuner.run
    seen: set[tuple[str, int]] = set()

    def compile_one(self: Any, *args: Any, grid: Any, warmup: bool, **options: Any) -> Any:
        made = run(self, *args, grid=grid, warmup=True, **options)
        if (self.__name__, id(made)) not in seen:
            seen.add((self.__name__, id(made)))
            about = made.metadata
            found.append(
                Compiled(
                    name=self.__name__,
                    warps=about.num_warps,
                    stages=about.num_stages,
                    shared_bytes=about.shared,
                    code_bytes=len(made.asm["cubin"]),
                    **resources(made.asm["cubin"]),
                )
            )
        return made

    def compile_all(self: Any, *args: Any, **options: Any) -> None:
        for config in self.configs:
            self.fn.run(*args, **{**options, **config.all_kwargs()})

    triton.runtime.driver.set_active(_Driver(capability))
    JITFunction.run, Autotuner.run = compile_one, compile_all
    try:
        yield
    finally:
        JITFunction.run, Autotuner.run = run, tune
        triton.runtime.driver.set_active(None)  # the next use looks for a real one again


def resources(code: bytes) -> dict[str, int]:
    """Registers and stack of a compiled kernel, read by the tool that Triton carries; zeros where it is missing."""
    import triton.backends.nvidia as backend

    tool = Path(backend.__file__).parent / "bin" / "cuobjdump"
    if not tool.exists():
        return {"registers": 0, "stack_bytes": 0}
    with NamedTemporaryFile(suffix=".cubin") as file:
        file.write(code)
        file.flush()
        said = subprocess.run([tool, "-res-usage", file.name], capture_output=True, text=True, check=True).stdout
    found = re.search(r"REG:(\d+) STACK:(\d+)", said)
    return {"registers": int(found[1]), "stack_bytes": int(found[2])} if found else {"registers": 0, "stack_bytes": 0}


def compile_for_card() -> list[Compiled]:
    """What kernels_card.py runs on the card, by its own sizes: the keys under which Triton will look for it there."""
    from move37.benchmarks.kernels_card import CARD

    made = compile_everything(width=CARD.width, heads=CARD.heads, with_state=False, channels=CARD.channels)
    for width in CARD.widths:
        made += compile_everything(width=width, heads=2, with_state=False, channels=CARD.channels)
    return made


def compile_everything(
    capability: int = 90,
    width: int = 128,
    dtype: torch.dtype = torch.bfloat16,
    *,
    heads: int = 2,
    with_state: bool = True,
    channels: int = 96,
) -> list[Compiled]:
    """All kernels of the package at one head size; raises what the compiler raises."""
    from move37.kernels.ops.convolution.triton import conv
    from move37.kernels.ops.cross_entropy.triton import linear_cross_entropy
    from move37.kernels.ops.low_rank.triton import low_rank
    from move37.kernels.ops.norms.triton import l2norm, rms_norm_gated
    from move37.kernels.ops.scalar_decay.triton import delta
    from move37.kernels.ops.vector_decay.triton import vector

    found: list[Compiled] = []
    time = 128 if channels > 96 else 130

    def wide(*shape: int, kind: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.zeros(*shape, dtype=kind, requires_grad=True)

    q, k, v = (wide(1, time, heads, width, kind=dtype) for _ in range(3))
    g, beta, fades = wide(1, time, heads), wide(1, time, heads), wide(1, time, heads, width)
    state = wide(1, heads, width, width) if with_state else None
    with compiling_only(capability, found):
        for rate in (beta, None):
            for decay in (g, None):
                given = (q, k, v, decay, rate, 1.0, state, None)
                o, final = delta(*given, want_state=with_state, normalise=with_state, recurrent=False)
                (o.sum() + (0 if final is None else final.sum())).backward()
                with torch.no_grad():
                    first = wide(1, heads, width, width)
                    delta(*given[:6], first, None, want_state=True, normalise=False, recurrent=True)
            o, final = vector(q, k, v, fades, rate, 1.0, state, None, want_state=with_state, recurrent=False)
            (o.sum() + (0 if final is None else final.sum())).backward()
            with torch.no_grad():
                vector(q, k, v, fades, rate, 1.0, state, None, want_state=True, recurrent=True)
        given = (q, k, v, k, k, fades, 1.0, state, None)
        o, final = low_rank(*given, want_state=with_state, recurrent=False)
        (o.sum() + (0 if final is None else final.sum())).backward()
        with torch.no_grad():
            low_rank(*given, want_state=True, recurrent=True)
        x, weight = wide(2, time, channels, kind=dtype), wide(channels, kind=dtype)
        past = wide(2, 3, channels, kind=dtype) if with_state else None
        conv(x, wide(channels, 4, kind=dtype), weight if with_state else None, past, True).sum().backward()
        rms_norm_gated(x, x, weight, None, 1e-6, False).sum().backward()
        l2norm(x, 1e-6, dtype).sum().backward()
        words = wide(32768 if channels > 96 else 500, channels, kind=dtype)
        linear_cross_entropy(x.flatten(0, 1), words, torch.zeros(2 * time).long(), None, -100, True)
    return found

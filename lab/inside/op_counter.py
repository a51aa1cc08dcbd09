"""Counts of one forward pass: multiply-adds, numbers written, bytes alive. Runs in the sandbox.

Counts are exact and the same on every machine, however busy: a linear mixer cannot fail by noise. They see what
torch's dispatcher sees; work done in plain Python or below the dispatcher (inside one operator without a formula)
shows in CPU time only, which `complexity` takes from outside.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry


@dataclass(frozen=True, slots=True, kw_only=True)
class OpCounts:
    """One forward pass."""

    calls: int  # operators called
    flops: float  # of matrix products, convolutions and attention
    written: float  # numbers that operators wrote, views excluded
    peak_bytes: float  # alive at the same time, inputs and weights excluded


class OpCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts while it is active."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls = 0
        self.flops = 0.0
        self.written = 0.0
        self.peak = 0
        self._alive: dict[int, int] = {}  # storage address -> bytes
        self._now = 0

    def counts(self) -> OpCounts:
        return OpCounts(calls=self.calls, flops=self.flops, written=self.written, peak_bytes=float(self.peak))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        self.calls += 1
        formula = _formula(func)
        if formula is not None:
            self.flops += formula(*args, **kwargs, out_val=out)
        if not func.is_view:
            for tensor in (out,) if isinstance(out, torch.Tensor) else tree_leaves(out):
                if isinstance(tensor, torch.Tensor):
                    self.written += tensor.numel()
                    self._hold(tensor)
        return out

    def _hold(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._alive:
            return
        self._alive[key] = storage.nbytes()
        self._now += storage.nbytes()
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._release, key)

    def _release(self, key: int) -> None:
        self._now -= self._alive.pop(key, 0)


@cache
def _formula(func: Any) -> Callable[..., float] | None:
    """How many flops an operator takes; None for those that only move or combine numbers one by one."""
    packet = func._overloadpacket
    if packet in flop_registry:
        found: Callable[..., float] = flop_registry[packet]
        return found
    return _attention_flops if "attention" in str(packet) and "backward" not in str(packet) else None


def _attention_flops(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *rest: Any, **others: Any) -> float:
    """Two products of queries and keys for an attention operator that the registry does not know."""
    pairs = q.shape[:-1].numel() * k.shape[-2]
    return 2.0 * pairs * (q.shape[-1] + v.shape[-1])

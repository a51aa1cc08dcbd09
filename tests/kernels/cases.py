"""Inputs and tolerances for the tests of the kernels, and the one comparison that they all use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from move37 import kernels

Inputs = Mapping[str, Tensor | None]

# Relative root-mean-square error against the float64 reference: outputs, gradients, gradients of g and beta.
LIMITS = {
    torch.float64: (1e-11, 1e-10, 1e-9),
    torch.float32: (1e-5, 1e-4, 1e-4),
    torch.bfloat16: (5e-3, 8e-3, 2e-2),
    torch.float16: (5e-3, 8e-3, 2e-2),
}


def relative_rms(found: Tensor, wanted: Tensor) -> float:
    """|found - wanted| / |wanted|; below 1e-6 of wanted's own scale there is nothing to compare."""
    error = (found.double() - wanted.double()).square().mean().sqrt()
    return float(error / wanted.double().square().mean().sqrt().clamp(min=1e-6))


def heads(
    time: int,
    *,
    batch: int = 1,
    key_heads: int = 1,
    value_heads: int = 2,
    width: int = 16,
    values: int = 24,
    decay: float | None = 1.0,
    beta: float | Callable[[Tensor], Tensor] | None = torch.sigmoid,
    cosine: float = 0.0,
    state: bool = True,
    seed: int = 0,
) -> dict[str, Tensor | None]:
    """Inputs of the delta family. `decay` multiplies the log decay; `cosine` correlates the keys."""
    r = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=r, dtype=torch.float64)

    common = draw(batch, 1, key_heads, width)
    k = cosine**0.5 * F.normalize(common, dim=-1) + (1 - cosine) ** 0.5 * F.normalize(
        draw(batch, time, key_heads, width), dim=-1
    )
    found: dict[str, Tensor | None] = {
        "q": draw(batch, time, key_heads, width),
        "k": F.normalize(k, dim=-1),
        "v": draw(batch, time, value_heads, values),
    }
    raw = draw(batch, time, value_heads)
    if decay is not None:
        found["g"] = F.logsigmoid(draw(batch, time, value_heads)) * decay
    if beta is not None:
        found["beta"] = beta(raw) if callable(beta) else torch.full_like(raw, beta)
    if state:
        found["initial_state"] = draw(batch, value_heads, width, values)
    return found


def vector_heads(time: int, *, strength: float = 1.0, width: int = 16, seed: int = 0) -> dict[str, Tensor | None]:
    """Inputs of gated linear attention."""
    r = torch.Generator().manual_seed(seed)
    found = heads(time, beta=None, decay=None, width=width, seed=seed)
    shape = (1, time, 2, width)
    found["g"] = F.logsigmoid(torch.randn(*shape, generator=r, dtype=torch.float64)) * strength
    return found


def run(
    name: str, call: Callable[..., Any], inputs: Inputs, dtype: torch.dtype
) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Outputs and gradients of one implementation; gates and states keep the accumulation's dtype."""
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    given = {
        n: None if x is None else x if not x.is_floating_point()
        else x.to(wide if n in ("g", "beta", "initial_state") and x.dim() != 1 else dtype).clone().requires_grad_()
        for n, x in inputs.items()
    }  # fmt: skip
    with kernels.implementation(name):  # type: ignore[arg-type]
        out = call(**given)
    outputs = [y for y in (out if isinstance(out, tuple) else (out,)) if y is not None]
    loss = sum((y.double() * torch.arange(1.0, y.numel() + 1).view(y.shape).cos()).sum() for y in outputs)
    loss.backward()
    grads = {n: x.grad for n, x in given.items() if x is not None and x.grad is not None}
    return [y.detach() for y in outputs], grads


def compare(
    call: Callable[..., Any], inputs: Inputs, dtype: torch.dtype = torch.float32, name: str = "chunked"
) -> None:
    """Assert that `name` agrees with the reference, which sees the same rounded inputs in float64."""
    rounded = {
        n: x.to(dtype).double() if x is not None and x.is_floating_point() and n not in ("g", "beta") else x
        for n, x in inputs.items()
    }
    outputs, grads = run(name, call, rounded, dtype)
    wanted, wanted_grads = run("reference", call, rounded, torch.float64)
    forward, backward, gates = LIMITS[dtype]
    for found, right in zip(outputs, wanted, strict=True):
        assert found.isfinite().all()
        assert relative_rms(found, right) <= forward, ("output", tuple(found.shape), relative_rms(found, right))
    assert grads.keys() == wanted_grads.keys()
    for n, right in wanted_grads.items():
        limit = gates if n in ("g", "beta") else backward
        assert grads[n].isfinite().all(), n
        assert relative_rms(grads[n], right) <= limit, (n, relative_rms(grads[n], right))


def gated_delta(**given: Any) -> Any:
    """The public function with its final state."""
    return kernels.chunk_gated_delta_rule(**given, output_final_state=True)


def simple(**given: Any) -> Any:
    """The family without the erase term."""
    return kernels.chunk_simple_gla(**given, output_final_state=True)


def vector(**given: Any) -> Any:
    """Gated linear attention."""
    return kernels.chunk_gla(**given, output_final_state=True)

"""Inputs and tolerances for the tests of the kernels, and the one comparison that they all use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from move37 import kernels

Inputs = dict[str, Any]  # keyword arguments of an operator: tensors, None, numbers

# Relative root-mean-square error against the float64 reference: outputs, gradients, gradients of g and beta.
LIMITS = {
    torch.float64: (1e-11, 1e-10, 1e-9),
    torch.float32: (1e-5, 1e-4, 1e-4),
    torch.bfloat16: (5e-3, 8e-3, 2e-2),
    torch.float16: (5e-3, 8e-3, 2e-2),
}


GATES = ("g", "gk", "beta")


def relative_rms(found: Tensor | None, wanted: Tensor | None) -> float:
    """|found - wanted| / |wanted|; below 1e-6 of wanted's own scale there is nothing to compare."""
    assert found is not None and wanted is not None
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
) -> Inputs:
    """Inputs of the delta family. `decay` multiplies the log decay; `cosine` correlates the keys."""
    r = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=r, dtype=torch.float64)

    common = draw(batch, 1, key_heads, width)
    k = cosine**0.5 * F.normalize(common, dim=-1) + (1 - cosine) ** 0.5 * F.normalize(
        draw(batch, time, key_heads, width), dim=-1
    )
    found: Inputs = {
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


def vector_heads(
    time: int,
    *,
    strength: float = 1.0,
    width: int = 16,
    seed: int = 0,
    beta: float | Callable[[Tensor], Tensor] | None = None,
    cosine: float = 0.0,
) -> Inputs:
    """Inputs of gated linear attention, and with `beta` of Kimi Delta Attention."""
    r = torch.Generator().manual_seed(seed)
    found = heads(time, beta=beta, decay=None, width=width, seed=seed, cosine=cosine)
    shape = (1, time, 2, width)
    found["g"] = F.logsigmoid(torch.randn(*shape, generator=r, dtype=torch.float64)) * strength
    return found


def levelled(inputs: Inputs, *, seed: int = 0) -> Inputs:
    """The same inputs for log-linear attention: a weight a level, no state to go on from."""
    batch, time, heads, _ = inputs["v"].shape
    r = torch.Generator().manual_seed(seed)
    weights = 2 * torch.rand(batch, time, heads, 1 + (time - 1).bit_length(), generator=r, dtype=torch.float64)
    return {n: x for n, x in inputs.items() if n != "initial_state"} | {"level_scales": weights}


def run(
    name: str, call: Callable[..., Any], inputs: Inputs, dtype: torch.dtype
) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Outputs and gradients of one implementation; gates and states keep the accumulation's dtype."""
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    given = {
        n: None if x is None else x if not x.is_floating_point()
        else x.to(wide if n in (*GATES, "initial_state") and x.dim() != 1 else dtype).clone().requires_grad_()
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
        n: x.to(dtype).double() if x is not None and x.is_floating_point() and n not in GATES else x
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
        limit = gates if n in GATES else backward
        assert grads[n].isfinite().all(), n
        assert relative_rms(grads[n], right) <= limit, (n, relative_rms(grads[n], right))


def product_heads(time: int, steps: int, *, decay: float | None = 1.0, seed: int = 0) -> Inputs:
    """Inputs of the gated delta product: k, v and beta have `steps` rows a token."""
    found = heads(time * steps, decay=None, seed=seed)
    found["q"] = heads(time, seed=seed + 1)["q"]
    if decay is not None:
        found["g"] = heads(time, decay=decay, seed=seed + 2)["g"]
    return found


def gated_delta(**given: Any) -> Any:
    """The public function with its final state."""
    return kernels.chunk_gated_delta_rule(**given, output_final_state=True)


def simple(**given: Any) -> Any:
    """The family without the erase term."""
    return kernels.chunk_simple_gla(**given, output_final_state=True)


def vector(**given: Any) -> Any:
    """Gated linear attention."""
    return kernels.chunk_gla(**given, output_final_state=True)


def kda(**given: Any) -> Any:
    """Vector decay with the erase term."""
    return kernels.chunk_kda(**given, output_final_state=True)


def low_rank_heads(time: int, *, strength: float = 1.0, width: int = 16, rate: float = 1.0, seed: int = 0) -> Inputs:
    """Inputs as RWKV-7 makes them: what `a` reads along a key of length one is taken out, `rate` times, along `b`."""
    found = vector_heads(time, strength=strength, width=width, seed=seed)
    key = heads(time, width=width, seed=seed + 1)["k"]
    assert key is not None
    r = torch.Generator().manual_seed(seed + 2)
    rates = torch.rand(key.shape, generator=r, dtype=torch.float64) * rate
    return {**{n: x for n, x in found.items() if n != "g"}, "a": -key, "b": key * rates, "gk": found["g"]}


def low_rank(**given: Any) -> Any:
    """A diagonal plus a rank-one matrix."""
    return kernels.chunk_dplr_delta_rule(**given, output_final_state=True)


def product(**given: Any) -> Any:
    """Gated DeltaProduct with two steps a token; without decay if g is left out."""
    given.setdefault("g", None)
    return kernels.chunk_gated_delta_product(**given, num_householder=2, output_final_state=True)


@dataclass(frozen=True)
class Case:
    """One operator and inputs for it, float64."""

    call: Callable[..., Any]
    inputs: Inputs


def every_operator(time: int = 21) -> dict[str, Case]:
    """All public operators that train, plain and packed: what a test over the whole kind goes through."""
    drawn = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=drawn, dtype=torch.float64)

    plain = {
        "gated delta": Case(gated_delta, heads(time)),
        "delta": Case(gated_delta, heads(time, decay=None)),
        "scalar decay": Case(simple, heads(time, beta=None)),
        "linear attention": Case(simple, heads(time, beta=None, decay=None)),
        "vector decay": Case(vector, vector_heads(time)),
        "kda": Case(kda, vector_heads(time, beta=torch.sigmoid)),
        "diagonal plus low rank": Case(low_rank, low_rank_heads(time)),
        "delta product": Case(product, product_heads(time, 2)),
        "convolution": Case(
            lambda **g: kernels.causal_conv1d(**g, activation="silu", output_final_state=True),
            {"x": draw(1, time, 6), "weight": draw(6, 4), "bias": draw(6), "initial_state": draw(1, 6, 4)},
        ),
    }
    bounds = torch.tensor([0, 3, 3, time - 2, time])
    packed = {f"{name}, packed": _packed(case, bounds) for name, case in plain.items()}
    plain["log-linear"] = Case(kernels.log_linear_attention, levelled(heads(time)))
    x = draw(2, 5, 8)
    target = torch.tensor([[3, 0, -100, 19, 7], [1, 1, 2, -100, 0]])
    return {
        **plain,
        **packed,
        "gated norm": Case(kernels.rms_norm_gated, {"x": x, "g": draw(2, 5, 8), "weight": draw(8), "bias": draw(8)}),
        "l2norm": Case(kernels.l2norm, {"x": x}),
        "cross-entropy": Case(
            kernels.fused_linear_cross_entropy_loss,
            {"x": x, "target": target, "weight": draw(20, 8), "bias": draw(20)},
        ),
    }


def _packed(case: Case, bounds: Tensor) -> Case:
    """The same operator on four sequences, one of them empty."""
    state = case.inputs["initial_state"]
    assert state is not None
    states = torch.cat([state * (n + 1) for n in range(len(bounds) - 1)])
    return Case(lambda **g: case.call(**g, cu_seqlens=bounds), {**case.inputs, "initial_state": states})

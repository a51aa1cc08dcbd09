"""The training loop: AdamW over steps that were drawn outside. Runs in the sandbox.

One loop serves rung 1 and rung 2. `fit` trains from step `first` to `stop`; `packed` and `restored` turn model and
optimiser into named tensors and back, so that the next rung continues instead of starting again.
A continued training equals an unbroken one, bit for bit: moments, their step counts and the smoothed loss are in the
checkpoint. It runs in the trusted process; only mixers compute in the candidate's (`remote`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from move37.lab.training import schedule

MODEL, MOMENT, SQUARE, COUNT = "model.", "exp_avg.", "exp_avg_sq.", "step."
SMOOTH = "smooth_loss"
_SETTLED = 50  # steps after which a loss above the ceiling is no longer the start of training
_SMOOTHING = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """Where a training ended."""

    step: int  # optimiser steps done
    diverged: bool
    smooth: float  # loss, nats


def fit(
    model: nn.Module,
    loss_at: Callable[[int], Tensor | Iterable[Tensor]],
    *,
    first: int,
    stop: int,
    rate: Callable[[int], float],
    saved: Mapping[str, Tensor],
    ceiling: float,
    before_step: Callable[[int], None] = lambda step: None,
    on_step: Callable[[int, float], bool],
) -> tuple[Fitted, torch.optim.AdamW]:
    """Train until `stop`, a divergence, or `on_step(steps done, loss)` says that it is enough.

    `loss_at(step)` gives the step's loss in nats, or its parts one after another (micro-batches): each part's graph is
    gone before the next is built, and the parts add up to the whole. Diverged: loss or gradient is not finite, or the
    smoothed loss lies above `ceiling` (nats) once training has settled. `saved` is the checkpoint of an earlier run, or
    empty. `before_step(step)` is called once the gradients of `step` stand, and may raise; not where they diverged: of
    numbers that are not finite every check would say that they are false.
    """
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.0, betas=schedule.BETAS, weight_decay=schedule.WEIGHT_DECAY)
    _load_moments(model, optimiser, saved)
    smooth = float(saved[SMOOTH]) if SMOOTH in saved else math.nan
    for step in range(first, stop):
        for group in optimiser.param_groups:
            group["lr"] = rate(step)
        optimiser.zero_grad(set_to_none=True)
        value = 0.0
        loss = loss_at(step)
        for part in (loss,) if isinstance(loss, Tensor) else loss:
            part.backward()  # type: ignore[no-untyped-call, unused-ignore]
            value += part.detach().item()
        norm = float(clip_grad_norm_(model.parameters(), schedule.CLIP_NORM))
        smooth = value if math.isnan(smooth) else _SMOOTHING * smooth + (1 - _SMOOTHING) * value
        if not (math.isfinite(value) and math.isfinite(norm)) or (step > _SETTLED and smooth > ceiling):
            return Fitted(step=step, diverged=True, smooth=smooth), optimiser
        before_step(step)
        optimiser.step()
        if on_step(step + 1, value):
            return Fitted(step=step + 1, diverged=False, smooth=smooth), optimiser
    return Fitted(step=stop, diverged=False, smooth=smooth), optimiser


def packed(model: nn.Module, optimiser: torch.optim.AdamW, smooth: float) -> dict[str, Tensor]:
    """Weights, moments and smoothed loss as named, contiguous tensors.

    A shared weight stands under its first name. Buffers stay out: nothing changes them, and a seed builds them again.
    """
    tensors = {MODEL + name: value.detach().clone().contiguous().cpu() for name, value in model.named_parameters()}
    for name, parameter in model.named_parameters():
        moments = optimiser.state.get(parameter, {})
        if "exp_avg" in moments:
            tensors[MOMENT + name] = moments["exp_avg"].clone().contiguous().cpu()
            tensors[SQUARE + name] = moments["exp_avg_sq"].clone().contiguous().cpu()
            tensors[COUNT + name] = moments["step"].clone()
    tensors[SMOOTH] = torch.tensor(smooth, dtype=torch.float64)
    return tensors


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load the model's part of a checkpoint; names and shapes must be the model's own (`RuntimeError` otherwise)."""
    found = {name[len(MODEL) :]: t for name, t in tensors.items() if name.startswith(MODEL)}
    first = {id(parameter): name for name, parameter in model.named_parameters()}
    if missing := first.values() - found.keys():
        raise RuntimeError(f"the checkpoint lacks {', '.join(sorted(missing)[:3])}")
    held = model.state_dict(keep_vars=True)
    constants = {name: value for name, value in held.items() if id(value) not in first}
    shared = {name: found[first[id(value)]] for name, value in held.items() if id(value) in first}
    model.load_state_dict(constants | found | shared, strict=True)


def _load_moments(model: nn.Module, optimiser: torch.optim.AdamW, saved: Mapping[str, Tensor]) -> None:
    for name, parameter in model.named_parameters():
        if MOMENT + name in saved:
            optimiser.state[parameter] = {
                "step": saved[COUNT + name].clone(),
                "exp_avg": saved[MOMENT + name].clone().to(parameter.device),
                "exp_avg_sq": saved[SQUARE + name].clone().to(parameter.device),
            }

"""The training loop, beside the candidate: AdamW over steps that were drawn outside. Travels into the sandbox.

One loop serves rung 1 and rung 2. `fit` trains from step `first` to `stop`; `packed` and `restored` turn model and
optimiser into named tensors and back, so that the next rung continues instead of starting again.
Everything this file says is a witness's word: the lab scores the weights elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from lab.training import schedule

MODEL, MOMENT, SQUARE = "model.", "exp_avg.", "exp_avg_sq."
_SETTLED = 50  # steps after which a loss above the ceiling is no longer the start of training
_SMOOTHING = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """Where a training ended."""

    step: int  # optimiser steps done
    diverged: bool


def fit(
    model: nn.Module,
    loss_at: Callable[[int], Tensor],
    *,
    first: int,
    stop: int,
    rate: Callable[[int], float],
    saved: Mapping[str, Tensor],
    ceiling: float,
    on_step: Callable[[int, float], bool],
) -> tuple[Fitted, torch.optim.AdamW]:
    """Train until `stop`, a divergence, or `on_step(steps done, loss)` says that it is enough.

    `loss_at(step)` is in nats. Diverged: loss or gradient is not finite, or the smoothed loss lies above `ceiling`
    (nats) once training has settled. `saved` are the optimiser's moments of an earlier run, or empty.
    """
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.0, betas=schedule.BETAS, weight_decay=schedule.WEIGHT_DECAY)
    _load_moments(model, optimiser, saved, step=first)
    smooth = 0.0
    for step in range(first, stop):
        for group in optimiser.param_groups:
            group["lr"] = rate(step)
        optimiser.zero_grad(set_to_none=True)
        loss = loss_at(step)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = float(clip_grad_norm_(model.parameters(), schedule.CLIP_NORM))
        value = loss.detach().item()
        smooth = value if step == first else _SMOOTHING * smooth + (1 - _SMOOTHING) * value
        if not (math.isfinite(value) and math.isfinite(norm)) or (step > _SETTLED and smooth > ceiling):
            return Fitted(step=step, diverged=True), optimiser
        optimiser.step()
        if on_step(step + 1, value):
            return Fitted(step=step + 1, diverged=False), optimiser
    return Fitted(step=stop, diverged=False), optimiser


def packed(model: nn.Module, optimiser: torch.optim.AdamW) -> dict[str, Tensor]:
    """Weights and moments as named, unshared, contiguous tensors (safetensors refuses shared memory)."""
    tensors = {MODEL + name: value.detach().clone().contiguous() for name, value in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        held = optimiser.state.get(parameter, {})
        if "exp_avg" in held:
            tensors[MOMENT + name] = held["exp_avg"].clone().contiguous()
            tensors[SQUARE + name] = held["exp_avg_sq"].clone().contiguous()
    return tensors


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load the model's part of a checkpoint; names and shapes must be the model's own (`RuntimeError` otherwise)."""
    model.load_state_dict({name[len(MODEL) :]: t for name, t in tensors.items() if name.startswith(MODEL)}, strict=True)


def _load_moments(model: nn.Module, optimiser: torch.optim.AdamW, saved: Mapping[str, Tensor], *, step: int) -> None:
    for name, parameter in model.named_parameters():
        if MOMENT + name in saved:
            optimiser.state[parameter] = {
                "step": torch.tensor(float(step)),
                "exp_avg": saved[MOMENT + name].clone(),
                "exp_avg_sq": saved[SQUARE + name].clone(),
            }

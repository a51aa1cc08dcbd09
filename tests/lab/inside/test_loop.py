"""The loop itself, in this process: it continues exactly, stops when told, and knows a divergence."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from move37.lab.inside import loop
from move37.lab.inside.train import LONG_ENOUGH, NO_ANSWER, _Streak


def a_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))


def run(
    model: nn.Module, first: int, stop: int, saved: dict[str, torch.Tensor] | None = None, **changes: Any
) -> tuple[loop.Fitted, torch.optim.AdamW]:
    def loss_at(step: int) -> torch.Tensor:
        x = torch.randn(16, 4, generator=torch.Generator().manual_seed(step))
        return (model(x)[:, 0] - x.sum(1)).square().mean()

    settings: dict[str, Any] = {
        "loss_at": loss_at, "first": first, "stop": stop, "rate": lambda step: 1e-2, "saved": saved or {},
        "ceiling": math.inf, "on_step": lambda done, loss: False,
    }  # fmt: skip
    return loop.fit(model, **(settings | changes))


def test_two_segments_with_a_checkpoint_between_them_are_one_training() -> None:
    whole = a_model()
    run(whole, 0, 20)
    first = a_model()
    fitted, optimiser = run(first, 0, 8)
    saved = loop.packed(first, optimiser, fitted.smooth)
    second = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    loop.load_weights(second, saved)
    run(second, 8, 20, saved)
    for a, b in zip(whole.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_tied_weights_can_be_packed() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    model[2].weight = model[0].weight  # type: ignore[assignment]
    fitted, optimiser = run(model, 0, 2)
    saved = loop.packed(model, optimiser, fitted.smooth)
    pointers = [t.data_ptr() for t in saved.values()]
    assert fitted.step == 2 and len(set(pointers)) == len(pointers)
    # Once, or it would count twice.
    assert sum(t.numel() for name, t in saved.items() if name.startswith(loop.MODEL)) == 4 * 4 + 4 + 4


def test_tied_weights_are_tied_when_they_are_loaded_and_others_names_are_refused() -> None:
    def tied() -> nn.Module:
        model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
        model[2].weight = model[0].weight  # type: ignore[assignment]
        return model

    whole, first, second = tied(), tied(), tied()
    first.load_state_dict(whole.state_dict())
    run(whole, 0, 9)
    fitted, optimiser = run(first, 0, 4)
    saved = loop.packed(first, optimiser, fitted.smooth)
    loop.load_weights(second, saved)
    run(second, 4, 9, saved)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), second.parameters(), strict=True))
    loop.load_weights(second, saved | {"model.2.weight": saved["model.0.weight"]})  # as it was saved before
    for odd in ({"model.3.weight": torch.ones(1)}, {"model.0.weight": torch.ones(4, 5)}):
        with pytest.raises(RuntimeError):
            loop.load_weights(second, saved | odd)


def test_it_stops_when_it_is_told_that_this_is_enough() -> None:
    fitted, _ = run(a_model(), 0, 50, on_step=lambda done, loss: done == 7)
    assert fitted.step == 7 and not fitted.diverged


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_a_divergence(bad: float) -> None:
    model = a_model()

    def loss_at(step: int) -> torch.Tensor:
        return model(torch.ones(1, 4)).sum() * (bad if step == 3 else 1.0)

    fitted, _ = run(model, 0, 10, loss_at=loss_at)
    assert fitted.diverged and fitted.step == 3


def test_a_gradient_that_is_not_finite_is_a_divergence() -> None:
    model = a_model()

    def loss_at(step: int) -> torch.Tensor:
        return (model(torch.ones(1, 4)).sum() * 0.0).sqrt()  # the loss is 0, its gradient is not a number

    fitted, _ = run(model, 0, 10, loss_at=loss_at)
    assert fitted.diverged and fitted.step == 0


def test_a_loss_above_the_ceiling_counts_once_training_has_settled() -> None:
    model = a_model()

    def loss_at(step: int) -> torch.Tensor:
        return model(torch.ones(1, 4)).sum() * 0.0 + 9.0

    fitted, _ = run(model, 0, 80, loss_at=loss_at, ceiling=6.0)
    assert fitted.diverged and 50 < fitted.step < 60


def test_a_continued_training_judges_the_loss_as_the_unbroken_one_does() -> None:
    """One loud batch right after a checkpoint is no divergence; the smoothed loss travels with the weights."""
    model = a_model()

    def loss_at(step: int) -> torch.Tensor:
        return model(torch.ones(1, 4)).sum() * 0.0 + (20.0 if step == 100 else 5.0)

    fitted, optimiser = run(model, 0, 100, loss_at=loss_at, ceiling=7.0)
    saved = loop.packed(model, optimiser, fitted.smooth)
    fitted, _ = run(model, 100, 120, saved, loss_at=loss_at, ceiling=7.0)
    assert not fitted.diverged and 5.0 < fitted.smooth < 6.0


def test_what_is_asked_before_a_step_sees_its_gradients_and_may_end_the_training() -> None:
    model, seen = a_model(), []

    def before_step(step: int) -> None:
        seen.append((step, all(p.grad is not None for p in model.parameters())))
        if step == 3:
            raise ValueError("not to be believed")

    with pytest.raises(ValueError):
        run(model, 0, 10, before_step=before_step)
    assert seen == [(step, True) for step in range(4)]


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_step_that_diverged_is_no_step_to_be_asked_about(loss: float) -> None:
    """Or an honest mixer that ran into infinity at a checked step would be accused of false gradients."""
    model = a_model()
    seen: list[int] = []

    def loss_at(step: int) -> torch.Tensor:
        return model(torch.ones(1, 4)).sum() * (loss if step == 3 else 1.0)

    fitted, _ = run(model, 0, 10, loss_at=loss_at, before_step=seen.append)
    assert fitted.diverged and fitted.step == 3 and seen == [0, 1, 2]


def test_a_streak_needs_enough_right_answers_in_a_row() -> None:
    streak = _Streak(0.9)
    right = torch.tensor([[1, NO_ANSWER]])
    logits = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])
    for _ in range(LONG_ENOUGH - 1):
        streak.see(logits, right)
    assert not streak.long_enough
    streak.see(-logits, right)
    streak.see(logits, right)
    assert not streak.long_enough, "a wrong answer starts it again"
    for _ in range(LONG_ENOUGH):
        streak.see(logits, right)
    assert streak.long_enough
    never = _Streak(None)
    for _ in range(9):
        never.see(logits, right)
    assert not never.long_enough

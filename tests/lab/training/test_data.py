"""What is sent: the same for every arm, never validation text, and as if training had never been interrupted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from move37.lab.training.data import BATCH, DECIDE_WINDOWS, LENGTH, SCREEN_WINDOWS, draw_batches, scoring_windows
from move37.lab.training.schedule import FINAL_SHARE, TOTAL_STEPS, WARMUP_STEPS, learning_rate

TEXT = np.random.default_rng(0).integers(0, 256, size=400_000, dtype=np.uint8)


def test_a_continued_training_sees_what_an_unbroken_one_saw() -> None:
    whole = draw_batches(TEXT, seed=3, start=0, stop=30)
    parts = [draw_batches(TEXT, seed=3, start=0, stop=10), draw_batches(TEXT, seed=3, start=10, stop=30)]
    assert whole.shape == (30, BATCH, LENGTH + 1)
    assert np.array_equal(whole, np.concatenate(parts))


def test_seeds_draw_different_batches() -> None:
    assert not np.array_equal(draw_batches(TEXT, seed=1, start=0, stop=2), draw_batches(TEXT, seed=2, start=0, stop=2))


@given(st.integers(0, 2**31), st.integers(0, 600))
def test_every_window_is_a_piece_of_the_text(seed: int, step: int) -> None:
    short = np.arange(200, dtype=np.uint8)
    for window in draw_batches(short, seed=seed, start=step, stop=step + 1)[0]:
        assert np.array_equal(window, np.arange(window[0], window[0] + LENGTH + 1))


def test_what_decides_is_other_text_than_what_screens() -> None:
    numbered = np.arange(4_000_000, dtype=np.uint32)
    screen, decide = scoring_windows(numbered, fresh=False), scoring_windows(numbered, fresh=True)  # type: ignore[arg-type]
    assert screen.shape == (SCREEN_WINDOWS, LENGTH + 1) and decide.shape == (DECIDE_WINDOWS, LENGTH + 1)
    assert not set(screen.ravel().tolist()) & set(decide.ravel().tolist())
    everything = np.concatenate([screen, decide]).ravel()
    assert len(np.unique(everything)) == len(everything), "windows are disjoint"


def test_a_short_text_still_gives_both() -> None:
    screen, decide = scoring_windows(TEXT[:100_000], fresh=False), scoring_windows(TEXT[:100_000], fresh=True)
    assert 100 < len(screen) < len(decide)


def test_the_rate_warms_up_then_falls() -> None:
    rates = [learning_rate(step, peak=1e-2) for step in range(TOTAL_STEPS)]
    assert max(rates) == pytest.approx(1e-2) and rates.index(max(rates)) in (WARMUP_STEPS - 1, WARMUP_STEPS)
    assert rates[0] == pytest.approx(1e-2 / WARMUP_STEPS)
    assert rates[-1] == pytest.approx(FINAL_SHARE * 1e-2, rel=0.05)
    assert all(a >= b for a, b in zip(rates[WARMUP_STEPS:], rates[WARMUP_STEPS + 1 :], strict=False))


@settings(max_examples=20)  # each draws four times from a text of 1.2 MB
@given(st.integers(0, 2**48), st.integers(0, 2**48))
def test_what_decides_is_drawn_by_the_campaigns_secret_and_what_screens_is_not(one: int, other: int) -> None:
    numbered = np.arange(1_200_000, dtype=np.uint32)
    screen = scoring_windows(numbered, fresh=False)  # type: ignore[arg-type]
    assert np.array_equal(screen, scoring_windows(numbered, fresh=False, secret=one))  # type: ignore[arg-type]
    mine, theirs = (scoring_windows(numbered, fresh=True, secret=s) for s in (one, other))  # type: ignore[arg-type]
    assert mine.shape == (DECIDE_WINDOWS, LENGTH + 1) and not set(mine.ravel().tolist()) & set(screen.ravel().tolist())
    assert np.array_equal(mine, theirs) == (one == other)

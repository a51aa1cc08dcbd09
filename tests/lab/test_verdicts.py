"""What may be said, and what may not."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.lab.comparisons import DIVERGED, NO_NUMBER, Rival
from move37.lab.records import BITS_PER_BYTE, COMBINED_SCORE, Comparison, Measurement
from move37.lab.statistics.many import confirmation_error
from move37.lab.summary import summarise
from move37.lab.verdicts import _undecided, confirm_verdict, screen_verdict
from tests.builders import a_measurement


def fresh(values: list[float], **changes: Any) -> list[Measurement]:
    return [a_measurement(value=v, seed=1000 + i, steps=500, fresh=True, **changes) for i, v in enumerate(values)]


def confirm(ours: list[Measurement], *theirs: list[Measurement], confirmation: int = 1, **more: Any) -> Any:
    return confirm_verdict(
        metric=more.pop("metric", BITS_PER_BYTE),
        candidate=ours,
        rivals=[Rival(id=f"b{n}", name=("gdn", "mamba2")[n % 2], measurements=arm) for n, arm in enumerate(theirs)],
        tried=12,
        confirmation=confirmation,
        **more,
    )


def screen(ours: list[Measurement], theirs: list[Measurement], tried: int = 12) -> Any:
    return screen_verdict(
        metric=BITS_PER_BYTE, candidate=ours, baseline=theirs, baseline_id="b1", baseline_name="gdn", tried=tried
    )


def test_one_seed_has_no_interval_and_the_sentence_says_so() -> None:
    verdict = screen([a_measurement(value=2.65)], [a_measurement(value=2.70)])
    assert (verdict.low, verdict.high) == (None, None)
    assert verdict.effect == pytest.approx(0.05)
    assert "one seed" in verdict.text and "ahead of gdn" in verdict.text
    assert "worthless candidates would lead by 0.029" in verdict.text


def test_a_screen_compares_at_the_most_steps_that_both_have() -> None:
    ours = [a_measurement(value=3.0, steps=100), a_measurement(value=2.8, steps=200)]
    theirs = [a_measurement(value=3.1, steps=100), a_measurement(value=2.7, steps=200), a_measurement(steps=500)]
    verdict = screen(ours, theirs)
    assert verdict.effect == pytest.approx(-0.1) and "200 steps" in verdict.text and "behind" in verdict.text


def test_without_steps_in_common_nothing_is_said() -> None:
    assert screen([a_measurement(steps=100)], [a_measurement(steps=500)]) is None
    assert confirm([], fresh([2.5])) is None


def test_a_clear_gain_on_fresh_seeds_is_better_and_still_no_discovery() -> None:
    verdict = confirm(fresh([2.40, 2.41, 2.39, 2.40, 2.42]), fresh([2.50, 2.52, 2.50, 2.51, 2.50]), confirmation=3)
    assert verdict.low > 0
    assert verdict.text.startswith("Better than gdn") and "Not a discovery" in verdict.text
    assert "confirmation 3 of this home" in verdict.text and verdict.confirmation == 3


def test_a_small_gain_is_not_distinguishable_and_the_sentence_names_what_could_be_found() -> None:
    verdict = confirm(fresh([2.50, 2.49, 2.50]), fresh([2.51, 2.50, 2.52]))
    assert verdict.low < 0 < verdict.high
    assert verdict.text.startswith("Not distinguishable") and "in four of five cases" in verdict.text


def test_a_clear_loss_is_worse() -> None:
    assert confirm(fresh([2.9, 2.9, 2.9]), fresh([2.5, 2.5, 2.5])).text.startswith("Worse than gdn")


def test_having_confirmed_more_widens_the_interval() -> None:
    ours, theirs = fresh([2.45, 2.46, 2.44, 2.45]), fresh([2.50, 2.49, 2.50, 2.52])
    once, often = confirm(ours, theirs), confirm(ours, theirs, confirmation=10)
    assert often.low < once.low and often.high > once.high and often.effect == once.effect


def test_one_divergence_on_a_fresh_seed_rejects_the_best_mean() -> None:
    ours = [*fresh([2.0, 2.0, 2.0, 2.0]), a_measurement(value=8.0, seed=1004, steps=500, fresh=True, diverged=True)]
    verdict = confirm(ours, fresh([2.5] * 5))
    assert verdict.text.startswith("Rejected") and "1004" in verdict.text
    assert verdict.low is None


@pytest.mark.parametrize("name", ["gla", "no number on", "training diverged"])
def test_what_ends_a_comparison_is_read_from_the_record_and_not_from_its_note(name: str) -> None:
    base = Comparison(
        question="baseline", rival="x", name=name, effect=0.1, low=None, high=None, confidence=0.95, seeds=1
    )
    told = {why: _undecided(replace(base, undecided=why, note=name)) for why in ("", DIVERGED, NO_NUMBER)}
    assert told == {"": "", DIVERGED: "Rejected: ", NO_NUMBER: "Undecided: "}


def test_a_divergence_while_screening_rejects() -> None:
    verdict = screen([a_measurement(value=8.0, diverged=True)], [a_measurement(value=2.7)])
    assert verdict.text.startswith("Rejected") and verdict.effect < -5


def test_what_the_preset_left_out_stands_in_the_sentence() -> None:
    verdict = confirm(fresh([2.5] * 3), fresh([2.5] * 3), missing=("Only 3 of 5 fresh seeds fitted.",))
    assert verdict.text.endswith("Only 3 of 5 fresh seeds fitted.")


def test_a_score_without_noise_needs_no_calibration() -> None:
    ours = fresh([2.3] * 5, metric="combined_score")
    theirs = fresh([2.2] * 5, metric="combined_score")
    verdict = confirm(ours, theirs, metric=COMBINED_SCORE)
    assert verdict.low == pytest.approx(0.1) and verdict.text.startswith("Better")
    assert not {"steps", "width", "discovery"} & set(re.findall(r"\w+", verdict.text))


def test_clones_of_the_best_baseline_are_almost_never_called_better() -> None:
    """The whole procedure on worthless ideas; the screen chose among any number of them, fresh seeds do not care."""
    rng = np.random.default_rng(7)
    arms = (fresh(rng.normal(2.5, 0.018, 5).tolist()) for _ in range(600))
    claims = sum(confirm(a, b, c).low > 0 for a, b, c in zip(arms, arms, arms, strict=True))
    assert claims <= 6


def test_the_rival_that_is_beaten_least_clearly_decides() -> None:
    ours, weak, strong = fresh([2.40] * 5), fresh([2.60] * 5), fresh([2.39] * 5)
    for theirs in ((weak, strong), (strong, weak)):
        verdict = confirm(ours, *theirs)
        assert verdict.effect == pytest.approx(-0.01) and not verdict.text.startswith("Better")
        assert verdict.baseline == f"b{theirs.index(strong)}" and len(verdict.comparisons) == 2
    verdict = confirm(ours, weak, fresh([2.55] * 5))
    assert verdict.text.startswith("Better than mamba2 and gdn") and verdict.effect == pytest.approx(0.15)


@given(st.integers(1, 300))
def test_all_confirmations_of_a_home_share_one_error(looks: int) -> None:
    spent = math.fsum(confirmation_error(k) for k in range(1, looks + 1))
    assert spent < 0.05 and spent + 0.05 * 6 / math.pi**2 / looks >= 0.05


@pytest.mark.parametrize("told", [(True, False), (False, True), (False, False)])
def test_one_self_reported_rival_of_two_is_enough_to_say_so(told: tuple[bool, bool]) -> None:
    verdict = confirm(fresh([2.4] * 3), *(fresh([2.5] * 3, self_reported=t) for t in told))
    assert verdict.self_reported == any(told) == ("self-reported" in verdict.text.lower())


@given(st.booleans(), st.booleans())
def test_a_verdict_over_self_reported_numbers_says_so(ours: bool, theirs: bool) -> None:
    arms = [fresh([2.4] * 3, self_reported=ours), fresh([2.5] * 3, self_reported=theirs)]
    screens = [[a_measurement(self_reported=told)] for told in (ours, theirs)]
    for verdict in (confirm(*arms), screen(screens[0], screens[1])):
        assert verdict.self_reported == (ours or theirs) == ("self-reported" in verdict.text.lower())


def test_two_screening_seeds_count_together() -> None:
    ours = [a_measurement(value=v, seed=n) for n, v in enumerate((2.6, 2.7))]
    theirs = [a_measurement(value=v, seed=n) for n, v in enumerate((2.7, 2.8))]
    verdict = screen(ours, theirs)
    assert verdict.effect == pytest.approx(0.1) and "Screened on 2 seeds" in verdict.text


def test_fresh_seeds_outrank_screening_runs_in_a_summary() -> None:
    found = summarise([a_measurement(value=2.0, steps=500), *fresh([2.5, 2.6])])["bits_per_byte"]
    assert found.n == 2 and found.mean == pytest.approx(2.55) and found.fresh
    assert found.low is not None and found.low < 2.55 < (found.high or 0)


def test_a_screened_number_has_null_bounds() -> None:
    found = summarise([a_measurement(value=2.0), a_measurement(metric="parity", value=1.0, rung=1, steps=300)])
    assert found["bits_per_byte"].low is None and found["bits_per_byte"].high is None and found["parity"].n == 1


def test_screening_seeds_carry_no_interval_however_many_there_are() -> None:
    found = summarise([a_measurement(value=2.0 + n / 100, seed=n) for n in range(3)])["bits_per_byte"]
    assert (found.n, found.low, found.high) == (3, None, None) and not found.fresh


def test_a_summary_keeps_the_mark_of_the_self_reported() -> None:
    assert summarise([a_measurement(metric="combined_score", self_reported=True)])["combined_score"].self_reported


def test_a_baseline_that_diverged_on_a_seed_is_no_gain_for_the_candidate() -> None:
    accident = a_measurement(value=8.0, seed=1004, steps=500, fresh=True, diverged=True)
    verdict = confirm(fresh([2.5] * 5), [*fresh([2.5, 2.51, 2.49, 2.5]), accident])
    assert abs(verdict.effect) < 0.01 and not verdict.text.startswith("Better")
    assert "gdn diverged on fresh seed 1004, which is left out" in verdict.text


def test_a_candidate_that_raises_where_it_does_badly_does_not_choose_its_seeds() -> None:
    verdict = confirm(fresh([2.2, 2.2, 2.2]), fresh([2.5] * 5))
    assert verdict.text.startswith("Undecided: no number on fresh seed 1003, 1004")
    assert (verdict.low, verdict.high) == (None, None)


def test_arms_are_paired_at_the_most_steps_that_both_have() -> None:
    longer = [a_measurement(value=2.0, seed=1000 + i, steps=2000, fresh=True) for i in range(3)]
    verdict = confirm([*fresh([2.5] * 3), *longer], fresh([2.5, 2.5, 2.5]))
    assert verdict.effect == 0.0


def test_a_baseline_that_diverged_while_screening_is_no_yardstick() -> None:
    theirs = [a_measurement(value=8.0, steps=200, diverged=True), a_measurement(value=2.8, steps=100)]
    verdict = screen([a_measurement(value=2.7, steps=200), a_measurement(value=2.7, steps=100)], theirs)
    assert verdict.effect == pytest.approx(0.1) and "at 100 steps" in verdict.text
    assert screen([a_measurement(value=2.7)], [a_measurement(value=8.0, diverged=True)]) is None


@pytest.mark.parametrize("order", [1, -1])
def test_a_value_that_is_no_number_hides_no_other_rate(order: int) -> None:
    runs = [a_measurement(value=math.nan, learning_rate=2e-2), a_measurement(value=2.6)]
    assert screen(runs[::order], [a_measurement(value=2.7)]).effect == pytest.approx(0.1)


def test_equal_scores_without_any_noise_are_not_distinguishable() -> None:
    runs = fresh([1.0] * 3, metric="combined_score", calibrated=False)
    assert confirm(runs, runs, metric=COMBINED_SCORE).text.startswith("Not distinguishable")


def test_a_persons_own_text_has_no_calibrated_noise() -> None:
    """Noise that was measured on the pinned corpus says nothing about another one."""
    ours, theirs = [2.40, 2.41, 2.39], [2.50, 2.52, 2.50]
    known = confirm(fresh(ours), fresh(theirs))
    unknown = confirm(fresh(ours, calibrated=False), fresh(theirs, calibrated=False))
    assert unknown.high - unknown.low != pytest.approx(known.high - known.low)
    assert "never calibrated" in unknown.text and "never calibrated" not in known.text
    assert confirm(fresh([2.4], calibrated=False), fresh([2.5], calibrated=False)).low is None
    lead = screen([a_measurement(value=2.65, calibrated=False)], [a_measurement(value=2.7, calibrated=False)])
    assert "worthless" not in lead.text
    pinned, own = (summarise(fresh([2.4, 2.5], calibrated=c))["bits_per_byte"] for c in (True, False))
    assert own.high is not None and pinned.high is not None and own.high > pinned.high + 0.1


anything = st.floats(allow_nan=True, allow_infinity=True) | st.floats(1, 8)
runs = st.lists(
    st.builds(
        a_measurement, value=anything, seed=st.integers(0, 3), steps=st.sampled_from([100, 500]),
        learning_rate=st.sampled_from([1e-2, 2e-2]), fresh=st.booleans(), diverged=st.booleans(),
        calibrated=st.booleans(),
    ),
    max_size=8,
)  # fmt: skip


@given(runs, runs, runs, st.integers(1, 200))
def test_whatever_was_measured_a_verdict_is_finite_and_claims_nothing_without_an_interval(
    ours: list[Measurement], theirs: list[Measurement], others: list[Measurement], looks: int
) -> None:
    for verdict in (
        confirm(ours, theirs, confirmation=looks),
        confirm(ours, theirs, others, confirmation=looks),
        screen(ours, theirs),
    ):
        if verdict is None:
            continue
        assert math.isfinite(verdict.effect) and "nan" not in verdict.text
        if verdict.low is None:
            assert verdict.high is None and not verdict.text.startswith(("Better", "Worse"))
        else:
            assert verdict.low <= verdict.effect <= verdict.high
            assert verdict.text.startswith("Better") == (verdict.low > 0)
    broken = [m for m in ours if m.fresh and m.diverged]
    claimed = confirm(ours, theirs, confirmation=looks)
    if claimed is not None and claimed.low is not None and len({m.steps for m in ours if m.fresh}) == 1:
        last = {m.seed: m for m in ours if m.fresh}
        assert not any(last[m.seed] is m for m in broken), "one divergence rejects"


@given(runs)
def test_a_summary_takes_whatever_was_measured(arm: list[Measurement]) -> None:
    for summary in summarise(arm).values():
        assert summary.low is None or math.isfinite(summary.low)
        assert math.isfinite(summary.mean) or summary.diverged

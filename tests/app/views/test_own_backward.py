"""A number whose gradients went unchecked says so wherever it is shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from move37.app.commands.measure import _measurement
from move37.app.paper import _table
from move37.app.views.experiment import comparisons_table, measurements_table
from move37.app.views.words import seeds_text
from move37.lab.claims import claim_text, settled
from move37.lab.comparisons import Rival
from move37.lab.measuring import MeasuredArm, verdict
from move37.lab.records import BITS_PER_BYTE, Measurement
from move37.lab.summary import summarise
from move37.lab.verdicts import confirm_verdict, screen_verdict
from tests.builders import a_candidate, a_measurement

OWN = Measurement(metric="bits_per_byte", value=2.5, rung=2, seed=0, steps=100, custom_backward="straight-through")


def test_what_a_number_rests_on_names_an_own_backward() -> None:
    assert seeds_text(summarise([OWN])["bits_per_byte"]) == "screened on one seed, gradients unchecked"


def test_every_run_names_the_backward_that_was_declared() -> None:
    (row,) = measurements_table([OWN]).rows
    assert "own backward: straight-through" in str(row)


@pytest.mark.parametrize("declared", ["straight-through", ""])
def test_verdicts_and_claims_name_a_declared_backward_as_tables_do(declared: str) -> None:
    """Under a straight-through estimator any optimiser fits: a discovery that rests on one must say so."""
    metric = BITS_PER_BYTE
    ours = [a_measurement(value=2.4, seed=seed, fresh=True, custom_backward=declared) for seed in range(3)]
    theirs = [replace(m, value=2.5, custom_backward="") for m in ours]
    confirmed = confirm_verdict(
        metric=metric, candidate=ours, rivals=[Rival(id="b", name="gla", measurements=theirs)], tried=1, confirmation=1
    )
    screens = [[replace(m, fresh=False) for m in arm] for arm in (ours, theirs)]
    screened = screen_verdict(
        metric=metric, candidate=screens[0], baseline=screens[1], baseline_id="b", baseline_name="gla", tried=1
    )
    arms = [MeasuredArm(name=n, candidate=a_candidate(), measurements=tuple(m)) for n, m in zip("ab", screens)]
    measured = verdict(metric, *arms)
    assert confirmed is not None and screened is not None and measured is not None
    claim = settled("c1-001", "a skip", confirmed.comparisons, confirmation=1, missing={}, core_seconds=1.0)
    for text in (confirmed.text, screened.text, measured.text, claim_text(claim, metric)):
        assert ("declares a backward of its own (straight-through)" in text) == bool(declared), text
    for table in (_table(claim, metric), str(comparisons_table(claim.comparisons))):
        assert ("gradients unchecked" in table) == bool(declared)
    assert _measurement(ours[0]).get("custom_backward", "") == declared

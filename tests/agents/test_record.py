"""What the archive holds becomes evidence about operators: each experiment once, at the most steps it shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from move37.agents.ledger import best_candidate
from move37.agents.record import trials
from move37.agents.replies import Proposal
from move37.lab.claims import WIDER, settled
from move37.lab.records import BITS_PER_BYTE, Comparison, Experiment, ExperimentStatus, Role
from tests.agents.scripted import a_proposal
from tests.builders import a_candidate, a_hypothesis, a_measurement


def an_experiment(ident: str, operators: str, values: Mapping[int, float], base: str = "") -> Experiment:
    """Its source is its operators' names; values by steps."""
    return Experiment(
        id=ident,
        campaign=1,
        number=1,
        role=Role.CANDIDATE if base else Role.BASELINE,
        status=ExperimentStatus.MEASURED,
        family="gla",
        candidate=a_candidate(source=operators),
        hypothesis=a_hypothesis(base=base) if base else None,
        measurements=tuple(a_measurement(value=value, steps=steps) for steps, value in values.items()),
    )


BASE = an_experiment("c1-gla", "gla", {100: 3.0, 500: 2.5})


def test_an_experiment_counts_once_at_the_most_steps_that_its_base_has_too() -> None:
    """The second climbed with its base, the third beyond its base, the first did not climb."""
    screened = an_experiment("c1-001", "gla conv", {100: 2.9}, base="c1-gla")
    climbed = an_experiment("c1-002", "gla gate", {100: 3.1, 500: 2.4}, base="c1-gla")
    alone = an_experiment("c1-003", "gla conv rotary", {100: 2.8, 500: 2.3}, base="c1-001")
    found = {t.experiment: t for t in trials([BASE, screened, climbed, alone], BITS_PER_BYTE, str.split)}
    assert {ident: t.steps for ident, t in found.items()} == {"c1-001": 100, "c1-002": 500, "c1-003": 100}
    assert [t.effect for t in found.values()] == pytest.approx([0.1, 0.1, 0.1])
    assert [sorted(t.gained) for t in found.values()] == [["conv"], ["gate"], ["rotary"]]
    assert all(t.standard_error > 0 for t in found.values())


def test_whose_gain_vanished_in_its_claim_is_not_shown_as_the_best() -> None:
    good = an_experiment("c1-001", "gla conv", {100: 2.8, 500: 2.3}, base="c1-gla")
    better = an_experiment("c1-002", "gla gate", {100: 2.7, 500: 2.2}, base="c1-gla")
    assert best_candidate([BASE, good, better], BITS_PER_BYTE) == better
    lost = Comparison(
        question=WIDER, rival="c1-gla", name="gla", effect=-0.02, low=-0.03, high=-0.01, confidence=0.97, seeds=5
    )
    claim = settled(better.id, "a part", [lost], confirmation=1, missing={}, core_seconds=1.0)
    assert best_candidate([BASE, good, replace(better, claim=claim)], BITS_PER_BYTE) == good


@pytest.mark.parametrize("bad", ["NaN", "1e999", "-Infinity", "null", '"much"'])
@pytest.mark.parametrize("name", ["effect", "low", "high"])
def test_a_forecast_that_is_no_number_is_none_and_its_proposal_counts(name: str, bad: str) -> None:
    """One NaN would make every mean of scores a NaN."""
    numbers = {"effect": "0.1", "low": "0", "high": "0.2"}
    said = ", ".join(f'"{n}": {number}' for n, number in (numbers | {name: bad}).items())
    text = a_proposal().model_dump_json(exclude={"prediction"})
    found = Proposal.model_validate_json(f'{text[:-1]}, "prediction": {{{said}}}}}')
    assert found.prediction is None and found.change == a_proposal().change

"""Forecasts beside what came, from the archive's records: against the base, at the screen."""

from __future__ import annotations

from dataclasses import replace

from move37.agents.search.codegen import emit
from move37.agents.search.grammar import BASELINES
from move37.app.views.foresight import foresight_lines
from move37.lab.foresight import foresight, screened_effect
from move37.lab.records import BITS_PER_BYTE, Experiment, ExperimentStatus, Forecast, Role
from tests.builders import a_candidate, a_hypothesis, a_measurement


def an_experiment(ident: str, value: float, *, base: str = "", refused: str = "", steps: int = 100) -> Experiment:
    forecast = Forecast(author="Researcher", effect=0.05, low=0.0, high=0.1)
    hypothesis = replace(a_hypothesis(), base=base, refused=refused, forecasts=(forecast,)) if base else None
    return Experiment(
        id=ident,
        campaign=1,
        number=1,
        role=Role.CANDIDATE if base else Role.BASELINE,
        status=ExperimentStatus.MEASURED,
        name=ident,
        family="gla",
        hypothesis=hypothesis,
        measurements=(a_measurement(value=value, steps=steps, fresh=False),),
    )


BASE = an_experiment("c1-gla", 3.0)


def test_an_effect_is_that_against_the_base_and_not_against_others() -> None:
    better = an_experiment("c1-001", 2.9, base="c1-gla")
    child = an_experiment("c1-002", 2.95, base="c1-001")
    everybody = [BASE, better, child]
    gains = [screened_effect(e, everybody, BITS_PER_BYTE) for e in everybody]
    assert gains[0] is None and [round(g, 3) for g in gains[1:] if g is not None] == [0.1, -0.05]


def test_a_forecast_without_a_number_is_not_scored() -> None:
    waiting = replace(an_experiment("c1-001", 2.9, base="c1-gla"), measurements=())
    assert foresight([BASE, waiting], BITS_PER_BYTE).skills == () and foresight_lines([BASE], BITS_PER_BYTE) == []


def test_who_predicts_is_scored_and_refusals_that_were_tried_are_counted() -> None:
    accepted = [an_experiment(f"c1-00{n}", 2.95, base="c1-gla") for n in range(1, 5)]
    refused = [an_experiment("c1-005", 3.2, base="c1-gla", refused="tried before")]
    found = foresight([BASE, *accepted, *refused], BITS_PER_BYTE)
    (skill,) = found.skills
    assert (skill.author, skill.n, skill.coverage) == ("Researcher", 5, 0.8) and skill.over_no_effect > 0
    assert (found.refusals.tried, found.refusals.worse, found.refusals.accepted) == (1, 1, 4)
    told = foresight_lines([BASE, *accepted, *refused], BITS_PER_BYTE)
    assert "skill +" in told[0] and "1 lost against" in told[1] and "0 of 4" in told[1]


def test_a_forecast_for_a_mixer_that_never_ran_is_not_scored() -> None:
    """The Debugger's file, or one that a wish changed, has another genome than the plan that was predicted."""
    planned, ran = (emit(BASELINES[name], name=name) for name in ("gated_delta", "gla"))
    whole = an_experiment("c1-001", 2.9, base="c1-gla")
    assert whole.hypothesis is not None
    whole = replace(whole, hypothesis=replace(whole.hypothesis, plan=BASELINES["gated_delta"].to_json()))
    for source, scored in ((planned, True), (ran, False), ("class Mixer: ...", True)):
        found = foresight_lines([BASE, replace(whole, candidate=a_candidate(source=source))], BITS_PER_BYTE)
        assert bool(found) == scored, source

"""No decision hangs on a sentence: what rooms tell each other is data, and their words may be changed at will.

The one text that is read is what somebody says to try next, by the words that a user may use as well: what the search
itself writes there has to be understood by it.
"""

from __future__ import annotations

from typing import Any

import pytest

from move37.agents import formatting
from move37.agents.messages import Results
from move37.agents.replies import Code, Critique, Proposals, Report
from move37.agents.research_context import OperatorFacts
from move37.agents.search import researcher
from move37.lab.records import Effect, Effects, Measurement
from move37.memory import render
from move37.memory.records import (
    DeadEnd,
    Evidence,
    MeasuredEffect,
    MeasuredEffects,
    Newness,
    Posterior,
    Precedent,
    Recollection,
)
from tests.agents.search.views import accepted_as, ask, known, opening

SENTENCES = ("recollection", "stored", "evidence", "effects", "effect", "probes", "newness", "dead_end", "named")
NEAR = Newness(nearest=(Precedent(key="c1-4", kind="analysis", name="gdn_x", similarity=0.99),))
LOST = DeadEnd(
    lost=(Precedent(key="c1-2", kind="analysis", name="loser", relevance=1.0),),
    posterior=Posterior(mean=-0.3, error=0.05, count=4.0),
)


def decisions() -> list[Any]:
    """What the search decides over a dozen experiments: plans, bases, grounds, files."""
    found: list[Any] = []
    for number in range(12):
        given = opening(number=number)
        offer: Proposals = ask(Proposals, given)
        (idea,) = offer.ideas
        critiques = [ask(Critique, given, offer, known(offer, *facts)) for facts in ((), (NEAR,), (Newness(), LOST))]
        found.append((idea.plan, idea.base, idea.cites, [(c.accept, c.ground) for c in critiques]))
        found.append(ask(Code, accepted_as(offer, number=number)).source)
    return found


def test_every_sentence_of_memory_and_of_the_transcript_may_be_another(monkeypatch: pytest.MonkeyPatch) -> None:
    before = decisions()
    for name in SENTENCES:
        monkeypatch.setattr(render, name, lambda *_: "in other words")
    monkeypatch.setattr(formatting, "readable", lambda *_: "in other words")
    assert decisions() == before
    assert {ground for row in before[::2] for _, ground in row[3]} >= {"none", "novelty"}


@pytest.mark.parametrize(
    ("gains", "next_operator"),
    [({}, set()), ({"rotary": -0.02}, set()), ({"learned_floor": 0.1, "rotary": 0.02}, {"learned_floor"})],
)
def test_what_gained_here_the_search_says_to_try_next_as_data(gains: dict[str, float], next_operator: set[str]) -> None:
    record = {o: OperatorFacts(tried=2, mean_effect=gain, sd=0.01) for o, gain in gains.items()}
    offer = ask(Proposals, opening())
    worse = Effect(rival="b-mamba2", value=-0.2, standard_error=0.02, steps=100, text="screen", seeds=1)
    measured = Measurement(metric="bits_per_byte", value=2.9, rung=2, seed=0, steps=100, learning_rate=0.01)
    report: Report = ask(
        Report,
        accepted_as(offer, operators=record),
        Results(
            measurements=(measured,),
            baselines={"mamba2": (measured,)},
            effects=Effects(parent=worse),
            source=ask(Code, accepted_as(offer)).source,
        ),
    )
    named = report.analysis(author="designer (search)").next_operators
    lesson = Recollection(key="c1-1", kind="analysis", title="x", claim="y", next="other words", next_operators=named)
    assert set(researcher.advice([lesson], scale=1.0)) == next_operator, report.next


@pytest.mark.parametrize("named", [(), ("rotary", "an operator of tomorrow"), None])
def test_operators_to_try_are_data_and_words_are_read_where_there_is_none(named: tuple[str, ...] | None) -> None:
    words = "Take out short_conv and keep the rest."  # which the grammar's words would read as a wish for it
    lesson = Recollection(key="c1-1", kind="analysis", title="x", claim="y", next=words, next_operators=named)
    assert set(researcher.advice([lesson], scale=1.0)) == ({"short_conv"} if named is None else {*named[:1]})


def test_a_language_model_is_not_asked_for_operators_beside_its_words() -> None:
    assert "next_operators" not in str(Report.model_json_schema())
    said = Report(expected="e", seen="s", why="w", next="try a short_conv")
    assert said.analysis(author="a model").next_operators is None


def test_its_own_effects_travel_as_numbers() -> None:
    def factor(gain: float) -> float:
        effects = MeasuredEffects(parent=MeasuredEffect(gain=gain, error=0.02))
        told = Evidence(effects=effects, status="measured")
        own = Recollection(key="c1-1", kind="analysis", title="x", claim="y", gained=("rotary",), evidence=told)
        return researcher.advice([own], scale=0.03)["rotary"]

    assert factor(0.1) > 0.0 > factor(-0.1)

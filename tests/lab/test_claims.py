"""Claims: what stands, what refutes, what is missing; and the ladder of evidence as data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.lab.archive.codec import decode, encode
from move37.lab.claims import (
    ABLATION,
    BASELINE,
    FAMILY,
    LONGER,
    QUESTIONS,
    WIDER,
    claim_lesson,
    claim_text,
    pairs_of,
    settled,
    unasked,
    words_of,
)
from move37.lab.evidence_ladder import EvidenceStep, ladder_of, position
from move37.lab.records import BITS_PER_BYTE, Claim, Comparison, Experiment, ExperimentStatus, Role, Verdict
from tests.builders import a_candidate, a_gate, a_measurement


def a_comparison(question: str = BASELINE, **changes: Any) -> Comparison:
    fields: dict[str, Any] = {
        "question": question, "rival": "c1-gla", "name": "gla", "effect": 0.05, "low": 0.02, "high": 0.08,
        "confidence": 0.97, "seeds": 5, "steps": 500, "total_steps": 500, "width": 64,
    }  # fmt: skip
    return Comparison(**(fields | changes))


def a_claim(*comparisons: Comparison, missing: dict[str, str] | None = None) -> Claim:
    return settled("c1-001", "a skip", comparisons, confirmation=1, missing=missing or {}, core_seconds=10.0)


def an_experiment(**changes: Any) -> Experiment:
    fields: dict[str, Any] = {
        "id": "c1-001", "campaign": 1, "number": 1, "role": Role.CANDIDATE, "status": ExperimentStatus.PROMOTED,
        "candidate": a_candidate(), "gates": (a_gate(),), "measurements": (a_measurement(steps=500, total_steps=500),),
    }  # fmt: skip
    return Experiment(**(fields | changes))


@given(st.sets(st.sampled_from(QUESTIONS)), st.sets(st.sampled_from(QUESTIONS)))
def test_a_claim_stands_only_if_every_question_was_asked_and_every_answer_holds(
    asked: set[str], failing: set[str]
) -> None:
    claim = a_claim(*(a_comparison(q, low=-0.01 if q in failing else 0.01) for q in asked))
    assert claim.stands == (asked == set(QUESTIONS) and not failing)
    text = claim_text(claim, BITS_PER_BYTE)
    assert text.startswith("A discovery") == claim.stands
    if asked & failing:
        assert text.startswith("Not a discovery: ")
    elif not claim.stands:
        assert text.startswith("Not a discovery yet") and len(claim.missing) == len(set(QUESTIONS) - asked)


def test_a_question_that_grew_is_not_said_of_claims_that_were_asked_a_smaller_one() -> None:
    """Older claims met their own family alone: which ones were met stands in the comparison, in no words of ours."""
    asked = an_experiment(claim=a_claim(a_comparison(), a_comparison(FAMILY, name="delta, tuned")))
    step, to_come = (next(s for s in ladder_of(e, BITS_PER_BYTE) if s.name == FAMILY) for e in (asked, an_experiment()))
    assert "best baseline's" in to_come.words and "best baseline's" not in step.words
    assert step.state == "reached" and "against delta, tuned" in step.detail
    assert asked.claim is not None
    failed = replace(asked.claim, comparisons=(a_comparison(FAMILY, low=-0.01, name="delta, tuned"),))
    for text in (claim_lesson(failed, BITS_PER_BYTE), claim_lesson(asked.claim, BITS_PER_BYTE)):
        assert "best baseline's, tuned" not in text.split("Not a discovery yet")[0]


@given(st.sets(st.sampled_from(QUESTIONS)), st.sets(st.sampled_from(QUESTIONS)))
def test_a_lesson_names_what_was_shown_before_the_claim_fell(asked: set[str], failing: set[str]) -> None:
    claim = a_claim(*(a_comparison(q, low=-0.01 if q in failing else 0.01) for q in asked))
    lesson = claim_lesson(claim, BITS_PER_BYTE)
    assert lesson.startswith(claim_text(claim, BITS_PER_BYTE))
    if not claim.stands:
        shown = lesson.partition(" Shown: it ")[2]
        assert {q for q in QUESTIONS if words_of(a_comparison(q)) in shown} == asked - failing


def test_a_question_that_does_not_apply_is_not_missing_and_one_that_cannot_be_asked_is() -> None:
    others = [a_comparison(q) for q in QUESTIONS if q != ABLATION]
    assert a_claim(*others, missing={ABLATION: ""}).stands
    assert not a_claim(*others, missing={ABLATION: "its file fails a gate"}).stands
    assert "its file fails a gate" in claim_text(
        a_claim(*others, missing={ABLATION: "its file fails a gate"}), BITS_PER_BYTE
    )


def test_no_comparison_is_no_claim() -> None:
    assert not a_claim(missing=dict.fromkeys(QUESTIONS, "")).stands


def test_self_reported_numbers_are_named() -> None:
    claim = a_claim(*(a_comparison(q, self_reported=q == LONGER) for q in QUESTIONS))
    assert "Self-reported" in claim_text(claim, BITS_PER_BYTE)


@given(st.lists(st.lists(st.booleans(), max_size=3), max_size=4))
def test_who_is_asked_beat_every_rival_and_the_clearest_comes_first(beaten: list[list[bool]]) -> None:
    experiments = []
    for number, holds in enumerate(beaten):
        comparisons = tuple(a_comparison(low=0.01 if h else -0.01) for h in holds)
        verdict = Verdict(
            baseline="c1-gla", effect=0.05, low=0.01 * (number + 1), high=0.2, tried=4, text="", comparisons=comparisons
        )
        experiments.append(an_experiment(id=f"c1-{number:03d}", verdict=verdict))
    asked = [e.id for e in unasked(experiments)]
    assert asked == [f"c1-{n:03d}" for n, holds in reversed(list(enumerate(beaten))) if holds and all(holds)]
    assert not unasked([replace(e, claim=a_claim()) for e in experiments])


def test_a_claim_survives_the_archive() -> None:
    claim = a_claim(a_comparison(), a_comparison(ABLATION, low=None, high=None, note="diverged"))
    assert decode(Claim, encode(claim)) == claim


def test_the_ladder_names_what_is_reached_what_failed_and_what_the_rest_costs() -> None:
    steps = ladder_of(an_experiment(), BITS_PER_BYTE)
    assert [s.name for s in steps] == ["gates", "screen", "climb", *QUESTIONS]
    assert [s.state for s in steps] == ["reached"] * 3 + ["open"] * len(QUESTIONS)
    assert all((s.core_seconds > 0) == (s.state == "open") for s in steps)
    claim = a_claim(a_comparison(), a_comparison(ABLATION, low=-0.01))
    states = {s.name: s.state for s in ladder_of(an_experiment(claim=claim), BITS_PER_BYTE)}
    assert (states[BASELINE], states[ABLATION], states[LONGER]) == ("reached", "failed", "open")


@pytest.mark.parametrize("end", [0, 500, 30_000])  # a program has no steps; scales have as many as they name
def test_the_climb_ends_where_the_schedule_of_the_scale_does(end: int) -> None:
    for steps in {end // 5, end}:
        measured = an_experiment(measurements=(a_measurement(steps=steps, total_steps=end),))
        (climb,) = [s for s in ladder_of(measured, BITS_PER_BYTE) if s.name == "climb"]
        assert climb.state == ("reached" if steps == end else "open")


@given(st.lists(st.sampled_from(["reached", "failed", "open"])))
def test_a_position_names_the_next_step_unless_something_failed(states: list[str]) -> None:
    ladder = [EvidenceStep(name=f"step {n}", words=f"step {n}", state=state) for n, state in enumerate(states)]
    at = position(ladder)
    still = [step for step in ladder if step.state == "open"]
    assert (at.reached, len(at.failed), len(at.lacks)) == tuple(map(states.count, ("reached", "failed", "open")))
    assert at.next == (still[0] if still and "failed" not in states else None)


def test_a_refused_candidate_climbs_no_further() -> None:
    failed = an_experiment(
        status=ExperimentStatus.FAILED, measurements=(), gates=(replace(a_gate(), passed=False),), reason="leaks"
    )
    assert not any(s.state in ("open", "reached") for s in ladder_of(failed, BITS_PER_BYTE))


@given(st.floats(-0.1, 0.1), st.floats(-0.1, 0.1), st.floats(0, 0.1))
def test_a_repeated_claim_covers_the_old_effect_or_not(old: float, new: float, half: float) -> None:
    was = a_claim(a_comparison(effect=old))
    now = a_claim(a_comparison(effect=new, low=new - half, high=new + half))
    ((_, _, covered),) = pairs_of(was, now)
    assert covered == (new - half <= old <= new + half)
    assert pairs_of(was, a_claim(a_comparison(ABLATION))) == ()


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_question_that_is_lost_is_told_from_one_that_is_open(effect: float, below: float, above: float) -> None:
    found = a_comparison(WIDER, effect=effect, low=effect - below, high=effect + above, rates=(5e-3, 1e-2))
    text = claim_text(a_claim(found), BITS_PER_BYTE)
    assert ("it loses where it was to be shown that it holds at twice the width" in text) == (effect + above < 0)
    assert ("it is not shown that it holds at twice the width" in text) == (effect - below <= 0 <= effect + above)
    if not found.holds:
        assert "its own 0.005, gla's 0.01" in text

"""Texts hold every field that they are made of."""

from __future__ import annotations

from dataclasses import fields

import pytest

from move37.memory import render
from move37.memory.records import (
    MEMORY_KINDS,
    DeadEnd,
    Evidence,
    MemoryKind,
    Newness,
    Posterior,
    Precedent,
    ProbeResult,
    Recollection,
    RecordedPrinciple,
)
from tests.memory.conftest import a_lesson, an_entry, effects

SHOWN_ELSEWHERE = {"id", "kind", "score", "matched", "source", "symptoms"}  # for the index, or for a person's eye


@pytest.mark.parametrize("kind", MEMORY_KINDS)
def test_a_recollections_text_holds_every_field_that_a_reader_acts_on(kind: MemoryKind):
    known = Recollection(
        key="THE-KEY",
        kind=kind,
        title="THE-TITLE",
        claim="THE-CLAIM",
        why="THE-WHY",
        remedy="THE-REMEDY",
        next="THE-NEXT",
        lesson="THE-LESSON",
        equations="THE-EQUATIONS",
        complexity="THE-COMPLEXITY",
        evidence=Evidence(effects=effects(parent=(0.123, 0.045)), status="THE-STATUS", gate="THE-GATE", steps=512),
        supports=("THE-SUPPORT",),
        contradicts=("THE-CONTRADICTION",),
        families=("THE-FAMILY",),
        probes=(ProbeResult(name="THE-PROBE", value=0.77, chance=0.5),),
        operators=("THE-OPERATOR",),
        gained=("THE-GAINED",),
        lost=("THE-LOST",),
    )
    text = render.recollection(known)
    simple = [getattr(known, field.name) for field in fields(known) if field.name not in SHOWN_ELSEWHERE]
    wanted = [value for value in simple if isinstance(value, str)]
    wanted += [value[0] for value in simple if isinstance(value, tuple) and isinstance(value[0], str)]
    wanted += ["+0.123", "0.045", "THE-STATUS", "THE-GATE", "512 steps", "THE-PROBE 0.770", "chance 0.500"]
    missing = [part for part in wanted if part not in text]
    assert missing == ([] if kind != "principle" else ["THE-KEY"]), "a principle's key stands in its title"


def test_a_stored_record_is_shown_in_whole():
    lesson = render.stored(a_lesson())
    for part in (
        a_lesson().next,
        a_lesson().why,
        a_lesson().seen,
        a_lesson().lesson,
        "-0.020",
        "5 seeds",
        "parity 0.900",
    ):
        assert part in lesson
    entry = render.stored(an_entry(equations="S = a S", source="somewhere"))
    for part in ("S = a S", "somewhere", an_entry().remedy, an_entry().symptoms[0], "our paraphrase"):
        assert part in entry
    assert "e3" in render.stored(RecordedPrinciple(id="1", text="t", contradicts=("e3",)))


def test_answers_name_what_they_stand_on():
    near = Precedent(key="c1-4", kind="analysis", name="gdn_x", similarity=0.83)
    assert render.newness(Newness(nearest=(near,))) == "Known already: nearest is own gdn_x (c1-4) at 0.83."
    assert "new as far as we know" in render.newness(Newness())
    lost = Precedent(key="c1-5", kind="analysis", name="y", evidence=Evidence(effects=effects(parent=(-0.1, 0.02))))
    end = DeadEnd(lost=(lost,), posterior=Posterior(mean=-0.08, error=0.02, count=3.0))
    text = render.dead_end(end)
    assert end.is_dead and "c1-5 y -0.100" in text and text.endswith("a dead end.")
    assert render.dead_end(DeadEnd()) == "Nothing like it was tried here."

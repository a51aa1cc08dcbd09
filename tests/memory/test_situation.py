"""The question that memory is asked."""

from __future__ import annotations

from typing import get_args

from move37.memory.papers import Family
from move37.memory.records import ProbeResult, Situation
from move37.memory.situation import FAMILIES, question


def test_every_family_of_the_base_has_words():
    assert set(get_args(Family)) - {"other"} == set(FAMILIES)


def test_failed_probes_ask_and_solved_ones_do_not():
    probes = (
        ProbeResult(name="parity", value=0.56, chance=0.5),
        ProbeResult(name="overwrite_recall", value=0.739, chance=0.25),
        ProbeResult(name="selective_copy", value=0.99, chance=0.1),
    )
    text = question(Situation(probes=probes, families=("retention", "gla"), direction="Longer memory, please."))
    assert "Longer memory, please." in text and "copy" not in text
    assert "Overwrite recall is solved in part" in text and FAMILIES["retention"] in text


def test_no_situation_asks_nothing():
    assert question(Situation()) and question("my own words") == "my own words"

"""Insight over an archive: planted effects are found, chance is not, and what no genome says is counted."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.agents.insight import insight_of
from move37.agents.search.codegen import emit
from move37.agents.search.grammar import BASELINES, operators_in
from move37.agents.search.operators import OPERATORS, put
from move37.app.views.insight import as_markdown, growth_charts, insight_sections
from move37.lab.claims import BASELINE
from move37.lab.insight import BOTH, NEITHER, OWN, PAPER, fisher, origin_of, surprises_of, traits_of
from move37.lab.records import BITS_PER_BYTE, Comparison, Experiment, ExperimentStatus, Role
from tests.builders import a_candidate, a_hypothesis, a_measurement, a_verdict

GOOD, NOISE = "residual_path", 0.02


def an_experiment(number: int, **changes: Any) -> Experiment:
    fields: dict[str, Any] = {
        "id": f"c1-{number:03d}", "campaign": 1, "number": number, "role": Role.CANDIDATE, "name": f"m{number}",
        "family": "gla", "status": ExperimentStatus.MEASURED, "candidate": a_candidate(),
        "hypothesis": a_hypothesis(cites=()), "measurements": (a_measurement(),),
    }  # fmt: skip
    return Experiment(**(fields | changes))


def an_archive(count: int, seed: int = 0) -> list[Experiment]:
    """A baseline and `count` children with two random operators each; one operator is worth .15, no other anything."""
    rng, base = Random(seed), BASELINES["gla"]
    found = [
        an_experiment(
            0, id="c1-gla", role=Role.BASELINE, name="gla", hypothesis=None,
            candidate=a_candidate(source=emit(base, name="gla"), author="baseline", family="gla"),
            measurements=(a_measurement(value=2.5, cpu_seconds=1.0),),
        )
    ]  # fmt: skip
    while len(found) <= count:
        genome = base
        for name in rng.sample(sorted(OPERATORS), 2):
            genome = put(name, genome, rng) or genome
        if genome == base or genome.family != "gla":
            continue
        gain = 0.15 * (GOOD in operators_in(genome)) + rng.gauss(0.0, NOISE)
        status = ExperimentStatus.PROMOTED if gain > 0.1 else ExperimentStatus.MEASURED
        number = len(found)
        found.append(
            an_experiment(
                number, status=status, hypothesis=a_hypothesis(base="gla", cites=("2312.06635",)),
                candidate=a_candidate(source=emit(genome, name=f"m{number}"), family="gla"),
                measurements=(a_measurement(value=2.5 - gain, cpu_seconds=1.0),),
            )
        )  # fmt: skip
    return found


def test_a_planted_part_is_found_and_told_apart_from_its_companions() -> None:
    found = insight_of(an_archive(60), BITS_PER_BYTE, {1: "designer"})
    best = found.components[0]
    assert best.operator == GOOD and best.low > 0.0 and best.low < 0.15 < best.high + 0.05
    others = [c for c in found.components if c.operator != GOOD]
    assert sum(c.low > 0 for c in others) <= len(others) // 10
    assert found.traits[0].trait == GOOD and found.traits[0].adjusted < 0.05
    assert found.surprises and all(s.effect > 0 and s.gained for s in found.surprises)
    assert [s.bits for s in found.surprises] == sorted((s.bits for s in found.surprises), reverse=True)


def test_files_without_known_parts_are_counted_and_left_out() -> None:
    strange = [replace(e, candidate=a_candidate(source="class Mixer: pass")) for e in an_archive(10)[1:]]
    found = insight_of([an_archive(1)[0], *strange], BITS_PER_BYTE, {1: "openai:m"})
    assert found.unrecognised == 10 and not found.components and not found.surprises
    assert "10 files with no known part left out" in as_markdown(insight_sections(found, BITS_PER_BYTE))


@pytest.mark.parametrize(
    ("cites", "origin"),
    [((), NEITHER), (("2312.06635",), PAPER), (("c1-003",), OWN), (("silu@gla",), OWN), (("c2-001", "RWKV"), BOTH)],
)
def test_an_idea_comes_from_what_it_cites(cites: tuple[str, ...], origin: str) -> None:
    assert origin_of(an_experiment(1, hypothesis=a_hypothesis(cites=cites))) == origin


@given(st.integers(0, 12), st.integers(0, 12), st.integers(1, 12), st.integers(1, 12))
def test_the_exact_test_is_a_probability_and_symmetric(a: int, b: int, n: int, m: int) -> None:
    a, b = min(a, n), min(b, m)
    p = fisher(a, n, b, m)
    assert 0.0 < p <= 1.0 and math.isclose(p, fisher(b, m, a, n)) and math.isclose(p, fisher(n - a, n, m - b, m))


def test_the_exact_test_gives_known_values() -> None:
    assert fisher(3, 4, 1, 4) == pytest.approx(34 / 70)  # Fisher's own tea
    assert fisher(8, 8, 0, 8) == pytest.approx(2 / 12_870)


@given(st.integers(0, 500))
def test_traits_of_chance_survive_no_correction(seed: int) -> None:
    rng = Random(seed)
    found, operators = [], {}
    for n in range(30):
        up = rng.random() < 0.3
        found.append(an_experiment(n, status=ExperimentStatus.PROMOTED if up else ExperimentStatus.MEASURED))
        operators[found[-1].id] = frozenset(o for o in sorted(OPERATORS) if rng.random() < 0.3) | {"gla"}
    traits = traits_of(found, operators)
    assert all(t.p <= t.adjusted for t in traits)
    assert sum(t.adjusted < 0.005 for t in traits) == 0


def test_the_rarer_find_stands_first() -> None:
    mine = [an_experiment(n) for n in (1, 2, 3)]
    parts = {"c1-001": frozenset({"a", "b"}), "c1-002": frozenset({"a", "c"}), "c1-003": frozenset({"a", "c"})}
    gained = {ident: parts[ident] - {"a"} for ident in parts}
    found = surprises_of(
        mine, operators=parts, gained=gained, effects={"c1-001": 0.1, "c1-002": 0.1, "c1-003": -0.1},
        draws=[frozenset("b")] * 9 + [frozenset("c")], papers=[frozenset("ab")] * 9 + [frozenset("a")],
    )  # fmt: skip
    assert [s.experiment for s in found] == ["c1-002", "c1-001"], "what lost is no find"
    assert found[0].unmentioned == ("a + c",) and not found[1].unmentioned


def test_growth_over_a_home_is_drawn_with_its_interval() -> None:
    met = Comparison(
        question=BASELINE, rival="c1-gla", name="gla", effect=0.1, low=0.05, high=0.15, confidence=0.97, seeds=5
    )
    found = []
    for campaign in range(1, 9):
        for n in range(1, 5):
            verdict = replace(a_verdict(), comparisons=(met,)) if n % 2 else None
            measured = (a_measurement(value=2.5, cpu_seconds=10.0),)
            found.append(
                an_experiment(n, id=f"c{campaign}-{n:03d}", campaign=campaign, verdict=verdict, measurements=measured)
            )
    told = insight_of(found, BITS_PER_BYTE, dict.fromkeys(range(1, 9), "designer"))
    better = next(g for g in told.growth if g.quantity == "better on fresh seeds")
    assert better.law.campaigns == 8 and better.law.curve[-1][1] == pytest.approx(2.0, abs=0.7)
    (chart,) = [c for c in growth_charts(told) if "better" in c.title]
    assert len(chart.figure["data"]) == 3 and "95 %" in chart.note

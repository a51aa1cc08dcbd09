"""The study of screening: what it draws, compares and counts, on effects that are made up."""

from __future__ import annotations

from random import Random

import pytest

from move37.agents.search.grammar import BASELINES, faults
from move37.benchmarks.screening import Child, Ladder, children, correlation, report


def pool(*rows: tuple[str, float, float]) -> list[Child]:
    return [Child(family=f, plan=f"{f}{n}", effects={100: short, 500: long}) for n, (f, short, long) in enumerate(rows)]


def test_children_are_new_valid_mixers_and_the_first_of_more_are_the_same() -> None:
    few, more = children("ssd", 3, 0), children("ssd", 6, 0)
    assert more[:3] == few and len(set(more)) == 6 and BASELINES["ssd"] not in more
    assert not any(faults(g) for g in more) and children("ssd", 3, 1) != few


def test_ranks_are_compared_within_a_family_alone() -> None:
    # Each family's order is right; pooled, the better family at 100 steps is the worse one at 500.
    rows = [("ssd", 0.1 * n, 0.01 * n) for n in range(4)] + [("gla", 0.1 * n - 9, 0.01 * n + 9) for n in range(4)]
    assert correlation(pool(*rows), 100, 500) == pytest.approx(1.0)
    turned = [("ssd", 0.1 * n, -0.01 * n) for n in range(4)]
    assert correlation(pool(*turned), 100, 500) == pytest.approx(-1.0)
    assert correlation(pool(*rows[:4], *(("gla", s, -v) for _, s, v in rows[4:])), 100, 500) == pytest.approx(0.0)
    assert correlation(pool(("ssd", 1, 1), ("ssd", 2, 2)), 100, 500) is None


def test_ladders_cost_equally_many_steps_and_a_perfect_screen_lacks_nothing() -> None:
    assert Ladder(first=100, kept=2).screened(500) == 20 and Ladder(first=200, kept=2).screened(500) == 10
    assert Ladder(first=500, kept=1).screened(500) == 6 and Ladder(first=100, kept=7).screened(500) < 0
    good = pool(*(("ssd", float(n), float(n)) for n in range(20)))
    bad = pool(*(("ssd", -float(n), float(n)) for n in range(20)))
    assert Ladder(first=100, kept=2).lacks(good, 500, Random(0)) == 0
    assert Ladder(first=100, kept=2).lacks(bad, 500, Random(0)) == 18
    assert 0 <= Ladder(first=500, kept=1).lacks(bad, 500, Random(0)) <= 13


def test_the_report_has_every_shorter_length_and_every_ladder_that_can_be_paid() -> None:
    rng = Random(1)
    rows = report(pool(*((f, rng.random(), rng.random()) for f in ("ssd", "gla") for _ in range(8))), (100, 500), rng)
    found = rows["rank correlation of 100 with 500"]
    assert isinstance(found, dict) and found["low"] <= found["all"] <= found["high"] and {"ssd", "gla"} <= found.keys()
    lacks = {k: v for k, v in rows.items() if k.endswith("lacks")}
    assert len(lacks) == 5 and all(isinstance(v, float) and v >= 0 for v in lacks.values())

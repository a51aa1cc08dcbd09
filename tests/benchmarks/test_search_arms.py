"""The arms on a landscape whose best is known: no training."""

from __future__ import annotations

import pytest

from move37.agents.arms import ARMS
from move37.agents.optimisers import CmaEs, Tpe
from move37.agents.search.grammar import BASELINES, Genome, operators_in
from move37.benchmarks.search_arms import FRESH, SECOND, SHARES, ArmFound, campaign, table


def landscape(genome: Genome, seed: int) -> float | None:
    """Every operator beyond a baseline's gains a hundredth; fresh seeds add a constant."""
    return 3.0 - 0.01 * len(operators_in(genome)) + (0.1 if seed >= 1000 else 0.0)


@pytest.mark.parametrize("arm", ["designer", "random", "cma-es"])
def test_the_best_is_measured_against_baselines_of_the_same_seeds(arm: str) -> None:
    found = campaign(arm, 0, 12, landscape)
    assert found.genome is not None and found.gain is not None and len(found.bests) == len(SHARES)
    most = max(len(operators_in(g)) for g in BASELINES.values())
    assert found.gain == pytest.approx(0.01 * (len(operators_in(found.genome)) - most))
    assert found.bests[-1] == pytest.approx(found.gain) and list(found.bests) == sorted(found.bests)


@pytest.mark.parametrize("kind", [Tpe, CmaEs])
def test_an_optimiser_from_outside_gets_better_and_survives_what_failed(kind: type[Tpe | CmaEs]) -> None:
    known: dict[Genome, float | None] = {genome: landscape(genome, 0) for genome in BASELINES.values()}
    optimiser, values = kind(0), list[float]()
    for number in range(96):
        genome = optimiser.next(known)
        assert genome is not None and genome not in known
        value = landscape(genome, 0)
        assert value is not None
        known[genome] = None if number % 9 == 4 else value
        values.append(value)
    assert sum(values[-32:]) < sum(values[:32]) - 32 * 0.01  # an operator more each, on average


def test_of_the_finalists_the_best_on_both_seeds_is_chosen() -> None:
    leader = campaign("random", 0, 20, landscape)

    def unlucky(genome: Genome, seed: int) -> float | None:
        worse = 1.0 if genome == leader.genome and seed == SECOND else 0.0
        return (landscape(genome, seed) or 0.0) + worse

    alone, second = (campaign("random", 0, 20, unlucky, finalists=count) for count in (1, 4))
    assert alone.genome == leader.genome != second.genome is not None
    assert alone.bests == second.bests
    none = campaign("random", 0, 4, lambda g, s: None if s == SECOND else landscape(g, s), finalists=2)
    assert none.genome is None and none.gain is None


def test_who_diverges_on_a_fresh_seed_found_nothing() -> None:
    last = 1000 + FRESH - 1
    found = campaign(
        "random", 0, 4, lambda g, s: None if s == last and g not in BASELINES.values() else landscape(g, s)
    )
    assert found.gain is None and found.genome is not None


def test_a_table_compares_arms_by_seed_and_says_what_it_could_have_seen() -> None:
    rows = {
        "designer": {s: ArmFound(gain=0.03 + 0.01 * s, bests=(0.0, 0.01, 0.02), genome=None) for s in range(4)},
        "random": {s: ArmFound(gain=0.01 * s * (-1) ** s, bests=(0.0, 0.0, 0.01), genome=None) for s in range(4)},
    }
    first, _, designer, random = table(rows).splitlines()
    assert "against random" in first and designer.startswith("| designer | 4 | +0.045 [")
    assert random.endswith("|  |  |") and "+0.05" in designer and set(rows) <= set(ARMS)

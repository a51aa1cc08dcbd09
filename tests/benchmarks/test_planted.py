"""Planted landscapes: a needle is found by what it is alone, and is as far away as it says."""

from __future__ import annotations

import pytest

from move37.agents.search.grammar import BASELINES, operators_in
from move37.benchmarks.planted import FEW, NEEDLE, hidden, needle
from tests.agents.search.genomes import a_genome


def test_few_baselines_have_a_hidden_operator() -> None:
    for name in hidden():
        assert sum(name in operators_in(genome) for genome in BASELINES.values()) <= FEW
    assert "beta_two" in hidden() and "rotary" not in hidden()


@pytest.mark.parametrize("name", ["beta_two", "rotary"])
def test_nothing_without_the_needle_is_taken_for_it(name: str) -> None:
    world, genomes = needle(0, name), [a_genome(seed) for seed in range(200)]
    found = [name in operators_in(genome) for genome in genomes if world(genome) <= NEEDLE]
    assert found and all(found)
    assert len(found) < sum(name in operators_in(genome) for genome in genomes), "not all that have it learn to use it"

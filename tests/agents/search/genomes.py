"""Random genomes, as the search would reach them: from a baseline through moves and crossings."""

from __future__ import annotations

from random import Random

from move37.agents.search.grammar import BASELINES, Genome
from move37.agents.search.operators import OPERATORS, crossover, put, take


def a_genome(seed: int) -> Genome:
    """One valid genome, up to eight moves away from a baseline."""
    rng = Random(seed)
    genome = rng.choice(list(BASELINES.values()))
    for _ in range(rng.randint(0, 8)):
        move = rng.choice((put, put, put, take))
        genome = move(rng.choice(OPERATORS), genome, rng) or genome
        if rng.random() < 0.2:
            genome = crossover(genome, rng.choice(list(BASELINES.values())), rng) or genome
    return genome

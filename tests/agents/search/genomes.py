"""Random genomes, as the search would reach them: from a baseline through moves and crossings."""

from __future__ import annotations

from random import Random

from move37.agents.search.composition import PUT_IN
from move37.agents.search.grammar import BASELINES, Genome
from move37.agents.search.operators import OPERATORS, crossover, put, take

PATH_PARTS = ("chained_paths", "several_reflections", "vector_decay_erase", "separate_erase_write", "log_linear_state")
PARTS = tuple(sorted({*PUT_IN, *PATH_PARTS}))  # of composition


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


def a_composition(seed: int) -> Genome:
    """One valid genome with parts of composition in it, blocks and chains more often than chance has them."""
    rng = Random(seed)
    genome = a_genome(seed)
    for name in (rng.choice(PARTS), rng.choice(("block_before", "block_after", "block_beside", "chained_paths"))):
        genome = put(name, genome, rng) or genome
    return genome

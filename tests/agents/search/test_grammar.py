"""What a genome may say: one spelling for each meaning, no invalid one, none over the parameter limit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path as File
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from move37 import memory
from move37.agents.search.catalogue import CATALOGUE
from move37.agents.search.grammar import BASELINES, Genome, Path, canonical, distance, faults, from_json, operators_in
from move37.agents.search.operators import OPERATORS, crossover, put, take
from move37.agents.search.size import PARAMETER_LIMIT, REFERENCE_SHAPES, parameter_limit, parameters
from move37.lab import baselines
from tests.agents.search.genomes import a_genome

SEEDS = st.integers(min_value=0, max_value=2**32)


def test_operators_are_exactly_those_that_memory_knows() -> None:
    named = (File(memory.__file__).parent / "cognition" / "operators.txt").read_text().split()
    assert set(OPERATORS) == set(named) == set(CATALOGUE)


def test_there_is_a_genome_for_the_family_of_every_baseline() -> None:
    assert set(BASELINES) == set(baselines.FAMILIES.values())
    assert all(genome == canonical(genome) and not faults(genome) for genome in BASELINES.values())


def test_the_parameter_limit_follows_the_largest_baseline() -> None:
    assert parameter_limit(64, 4) == int(PARAMETER_LIMIT * baselines.LARGEST)


@given(SEEDS)
@settings(max_examples=200, deadline=None)
def test_every_reachable_genome_is_valid_canonical_within_the_limit_and_survives_json(seed: int) -> None:
    genome = a_genome(seed)
    assert faults(genome) == ()
    assert canonical(genome) == genome
    assert from_json(genome.to_json()) == genome
    assert all(parameters(genome, *shape) <= parameter_limit(*shape) for shape in REFERENCE_SHAPES)
    assert set(operators_in(genome)) <= set(OPERATORS)


@given(SEEDS, st.sampled_from(OPERATORS))
@settings(max_examples=200, deadline=None)
def test_a_move_does_what_its_name_says_or_nothing(seed: int, operator: str) -> None:
    genome, rng = a_genome(seed), Random(seed)
    inward = put(operator, genome, rng)
    assert inward is None or (inward != genome and operator in operators_in(inward))
    outward = take(operator, genome, rng)
    assert outward is None or operator not in operators_in(outward)


@given(SEEDS, SEEDS)
@settings(max_examples=100, deadline=None)
def test_a_child_has_only_families_of_its_parents(one: int, other: int) -> None:
    mother, father = a_genome(one), a_genome(other)
    child = crossover(mother, father, Random(one))
    if child is not None:
        assert {p.family for p in child.paths} <= {p.family for p in (*mother.paths, *father.paths)}


def test_a_delta_rule_without_keys_of_length_one_is_invalid() -> None:
    assert "diverges" in faults(Genome(paths=(Path(family="delta", beta=2),)))[0]


def test_softmax_without_a_window_is_invalid() -> None:
    assert "window" in faults(Genome(paths=(Path(family="softmax"),)))[0]


def test_choices_without_effect_do_not_make_two_mixers() -> None:
    plain = Genome(paths=(Path(family="linear"),))
    decorated = replace(plain, router="softmax", floor="decay", paths=(Path(family="linear", beta=2, window=16),))
    assert canonical(decorated) == plain
    assert distance(canonical(decorated), plain) == 0


def test_another_window_is_near_identical_and_another_family_is_not() -> None:
    one = BASELINES["softmax"]
    assert distance(one, replace(one, paths=(replace(one.paths[0], window=16),))) == 0
    assert distance(one, BASELINES["delta"]) > 2


def test_foreign_plans_are_refused() -> None:
    good = json.loads(BASELINES["gated_delta"].to_json())
    for bad in (
        "",
        "[]",
        "{}",
        "null",
        '{"paths": 3}',
        json.dumps(good | {"gate": "open"}),
        json.dumps(good | {"extra": 1}),
        json.dumps(good | {"conv": "yes"}),
        json.dumps(good | {"paths": [{"family": "gated_delta", "beta": "2"}]}),
        json.dumps(good | {"paths": [{"family": "perceptron"}]}),
        json.dumps(good | {"paths": []}),
    ):
        assert from_json(bad) is None, bad

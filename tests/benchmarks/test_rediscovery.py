"""Rediscovery: nobody begins with the answer or gets it as a gift, who won, and the intervals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from move37.agents.arms import SearchSpace, Tried
from move37.agents.search.grammar import BASELINES, Genome, faults, operators_in
from move37.agents.search.size import fit
from move37.benchmarks.rediscovery import read, table
from move37.benchmarks.rediscovery_search import ARMS, FIELDS, campaign, duel, fields_of, genome_from, summary
from move37.benchmarks.rediscovery_tasks import TASKS, KnownTask, train
from tests.shortened import slow_but

NEEDED = st.lists(st.none() | st.integers(1, 12), min_size=1, max_size=8)


def space_of(task: KnownTask) -> SearchSpace:
    return SearchSpace(starts=dict(task.starts), carried=task.carried, metric=task.metric)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_no_start_has_the_answer(task: KnownTask) -> None:
    for _, genome in task.starts:
        assert not task.answers & {*operators_in(genome)} and not faults(genome) and fit(genome) == genome


@pytest.mark.parametrize("arm", slow_but(["search", "no-record", "random"], ["search", "random"]))
def test_a_delta_rule_does_not_bring_the_answer_of_parity_along(arm: str) -> None:
    """With the gift, most delta rules drawn from `linear` have beta up to two; without, those that asked for it."""
    task = next(t for t in TASKS if t.name == "parity")
    begun = replace(space_of(task), starts={"linear": BASELINES["linear"]})

    def share(space: SearchSpace) -> float:
        tried = [Tried(genome=BASELINES["linear"], value=0.4)]
        drawn = [ARMS[arm](0, space).propose(tried, Random(n)) for n in range(300)]
        delta = [operators_in(p.genome) for p in drawn if p and "delta_rule" in operators_in(p.genome)]
        return sum("beta_two" in o for o in delta) / len(delta)

    assert share(replace(begun, carried=frozenset())) > 0.8
    assert share(begun) < 0.25


@given(st.fixed_dictionaries({name: st.sampled_from(values) for name, values in FIELDS.items()}))
@settings(deadline=None)
def test_fields_give_a_valid_genome_or_none_within_the_limit(fields: dict[str, object]) -> None:
    genome = genome_from(fields)
    assert genome is None or (not faults(genome) and fit(genome) == genome)


@pytest.mark.parametrize("genome", [g for task in TASKS for _, g in task.starts], ids=lambda g: g.to_json()[:60])
def test_a_start_told_to_tpe_is_read_back_as_itself(genome: Genome) -> None:
    fields = fields_of(genome)
    assert all(fields[name] in values for name, values in FIELDS.items())
    assert genome_from(fields) == genome


@pytest.mark.parametrize("arm", ARMS)
def test_a_campaign_ends_at_the_threshold_and_counts_its_experiments_not_the_starts(arm: str) -> None:
    """A planted landscape: delta rules are right, everything else is wrong."""
    task = next(t for t in TASKS if t.name == "overwrite")
    asked: list[Genome] = []

    def measure(genome: Genome) -> float:
        asked.append(genome)
        return 0.0 if task.answers & {*operators_in(genome)} else 0.8

    space = space_of(task)
    found = campaign(ARMS[arm](1, space), space, measure, threshold=0.02, experiments=60, rng=Random(1))
    assert found.needed is not None and found.genome is not None
    assert len(asked) == len(set(asked)) == len(task.starts) + found.needed
    assert found.values[-1] == 0.0 and set(found.values[:-1]) <= {0.8}


def test_a_campaign_without_success_says_its_best_and_survives_divergence() -> None:
    task = TASKS[0]
    space = space_of(task)
    found = campaign(ARMS["search"](0, space), space, lambda g: None, threshold=0.0, experiments=3, rng=Random(0))
    assert (found.needed, found.best, found.values) == (None, None, (None, None, None))


@given(NEEDED)
@settings(max_examples=30, deadline=None)
def test_intervals_hold_their_estimate_and_lie_where_they_can(needed: list[int | None]) -> None:
    sums = summary(needed, 12)
    assert 0 <= sums.rate[1] <= sums.rate[0] <= sums.rate[2] <= 1
    assert 1 <= sums.needed[1] <= sums.needed[0] <= sums.needed[2] <= 13
    assert sums.n == len(needed)


@given(
    st.dictionaries(st.integers(0, 9), st.none() | st.integers(1, 12)),
    st.dictionaries(st.integers(0, 9), st.none() | st.integers(1, 12)),
)
def test_who_won_is_the_mirror_of_who_lost_over_the_seeds_both_have(
    one: dict[int, int | None], other: dict[int, int | None]
) -> None:
    fewer, more, same = duel(one, other)
    assert (more, fewer, same) == duel(other, one)
    assert fewer + more + same == len(one.keys() & other.keys())


def test_finding_beats_not_finding() -> None:
    assert duel({0: 12, 1: None, 2: 3}, {0: None, 1: None, 2: 4}) == (2, 0, 1)


def test_a_cut_off_line_is_run_again_and_the_rest_is_kept(tmp_path: Path) -> None:
    row = {"task": "parity", "arm": "search", "seed": 0, "experiments": 12, "steps": 9, "needed": 4, "by_answer": True}
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(row) + "\n" + json.dumps(row | {"seed": 1})[:30], encoding="utf-8")
    assert read(file) == {("parity", "search", 0, 12, 9): row}
    assert "| parity | search | 1 | 1.00 [1.00, 1.00] | 1 | 4 [4, 4] |" in table([row], 12)
    assert read(None) == read(tmp_path / "none") == {}


@pytest.mark.parametrize("task", [t for t in TASKS if not t.in_bits], ids=lambda task: task.name)
def test_a_training_is_repeatable_and_scored_on_what_it_was_not_trained_on(task: KnownTask) -> None:
    genome = task.starts[0][1]
    first, again = (train(task, genome, seed=3, steps=3) for _ in range(2))
    assert first.value == again.value is not None and first.steps == 3
    assert first.value is not None and 0 <= first.value <= 1

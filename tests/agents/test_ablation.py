"""The candidate without its new part, and a family tuned within its family."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from move37.agents.ablation import ablated
from move37.agents.search.codegen import emit, genome_of
from move37.agents.search.grammar import BASELINES, Genome, faults, operators_in
from move37.agents.search.operators import OPERATORS, put
from move37.agents.tuning import families, modifiers
from move37.lab.records import Experiment, ExperimentStatus, Role
from tests.builders import a_candidate, a_hypothesis


def an_experiment(genome: Genome | None, source: str = "", *, role: Role = Role.CANDIDATE, family: str) -> Experiment:
    text = emit(genome, name="x") if genome is not None else source
    return Experiment(
        id="c1-001", campaign=1, number=1, role=role, status=ExperimentStatus.MEASURED, family=family, name="x",
        candidate=a_candidate(source=text, family=family), hypothesis=a_hypothesis(change="a floor under the decay"),
    )  # fmt: skip


@settings(deadline=None)
@given(family=st.sampled_from(sorted(BASELINES)), names=st.lists(st.sampled_from(sorted(OPERATORS)), max_size=3))
@example(family="delta", names=["fewer_heads", "gated_delta_rule", "parallel_sigmoid_router"])  # too large on the way
def test_what_a_plan_gained_over_its_base_is_taken_back_and_nothing_else(family: str, names: list[str]) -> None:
    base, child = BASELINES[family], BASELINES[family]
    for name in names:
        child = put(name, child, Random(0)) or child
    parent = an_experiment(None, "class Mixer: ...", role=Role.BASELINE, family=family)
    found = ablated(an_experiment(child, family=family), parent)
    gained = set(operators_in(child)) - set(operators_in(base))
    assert found is not None
    ablation = genome_of(found.candidate.source)
    if ablation is None:  # nothing could be taken out: the base itself
        assert found.candidate.source == "class Mixer: ..."
        return
    assert not faults(ablation)
    assert found.operators and set(found.operators) == gained
    assert set(operators_in(ablation)) < set(operators_in(child)) | set(operators_in(base))


def test_of_code_that_somebody_wrote_the_part_is_the_whole_change() -> None:
    base = an_experiment(None, "class Mixer: plain", family="gla")
    found = ablated(an_experiment(None, "class Mixer: new", family="gla"), base)
    assert found is not None and found.candidate.source == "class Mixer: plain"
    assert found.part == "a floor under the decay"


@pytest.mark.parametrize("base", [None, an_experiment(None, "class Mixer: same", family="gla")])
def test_without_a_base_or_a_change_there_is_no_ablation(base: Experiment | None) -> None:
    assert ablated(an_experiment(None, "class Mixer: same", family="gla"), base) is None
    alone = replace(an_experiment(None, "x", family="gla"), candidate=None)
    assert ablated(alone, an_experiment(None, "y", family="gla")) is None


@pytest.mark.parametrize("family", families())
def test_a_family_is_tuned_within_itself_and_without_the_part_in_question(family: str) -> None:
    names = modifiers(family)
    assert len(names) >= 5 and not {"gla", "ssd", "gated_delta_rule", "parallel_softmax_router"} & set(names)
    assert set(modifiers(family, without=names[:2])) == set(names[2:])

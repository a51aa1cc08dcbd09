"""Composition: blocks around blocks, streams one by one, several steps a token; one spelling each, and right files."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from move37.agents.search.codegen import emit, genome_of
from move37.agents.search.genome import FAMILIES, PROJECTED, STREAMS
from move37.agents.search.grammar import (
    BASELINES,
    Genome,
    Path,
    SmallBlock,
    Stream,
    canonical,
    distance,
    faults,
    from_json,
    operators_in,
)
from move37.agents.search.operators import crossover, put, take
from move37.agents.search.size import REFERENCE_SHAPES, fit, parameter_limit, parameters
from move37.agents.search.streams import treatments, with_treatments
from move37.lab.training.contract import load_mixer
from tests.agents.search.genomes import PARTS, a_composition
from tests.lab.gates.here import failing, gates_here

SEEDS = st.integers(min_value=0, max_value=2**32)
GATED_DELTA = BASELINES["gated_delta"]
# As archives of campaigns before composition hold them.
OLD_PLANS = (
    '{"conv":true,"floor":"none","gate":"full","heads":"same","out_norm":true,"paths":[{"beta":1,"decay":"default",'
    '"family":"gated_delta","feature":"none","norm":"l2","rotary":false,"window":0}],"residual":false,"router":"none"}',
    '{"conv":false,"floor":"router","gate":"low","heads":"more","out_norm":true,"paths":[{"beta":1,"decay":"short",'
    '"family":"ssd","feature":"elu","norm":"none","rotary":true,"window":0},{"beta":1,"decay":"default","family":'
    '"softmax","feature":"none","norm":"rms","rotary":true,"window":32}],"residual":true,"router":"sigmoid"}',
)


def a_block(family: str = "short_conv", **changes: object) -> Genome:
    return replace(
        Genome(paths=BASELINES[family].paths if family in BASELINES else (Path(family=family),)),  # type: ignore[arg-type]
        **({"conv": False, "gate": "none", "keys": "quarter", "values": "quarter"} | changes),  # type: ignore[arg-type]
    )


def built(genome: Genome, d_model: int = 64, n_heads: int = 4) -> torch.nn.Module:
    torch.manual_seed(0)
    return load_mixer(emit(genome, name="a mixer"))(d_model, n_heads)


@given(SEEDS)
@settings(max_examples=150, deadline=None)
def test_every_composition_is_valid_canonical_within_the_limit_and_survives_json(seed: int) -> None:
    genome = a_composition(seed)
    assert faults(genome) == ()
    assert canonical(genome) == genome == fit(genome)
    assert from_json(genome.to_json()) == genome == genome_of(emit(genome, name="x"))
    assert all(parameters(genome, *shape) <= parameter_limit(*shape) for shape in REFERENCE_SHAPES)


@given(SEEDS)
@settings(max_examples=15, deadline=None)
def test_a_composition_keeps_the_contract_and_has_the_parameters_that_were_predicted(seed: int) -> None:
    genome = a_composition(seed)
    for shape in REFERENCE_SHAPES:
        assert sum(p.numel() for p in built(genome, *shape).parameters()) == parameters(genome, *shape)
    assert built(genome).bfloat16()(torch.randn(1, 19, 64, dtype=torch.bfloat16)).dtype is torch.bfloat16
    mixer = built(genome).double()
    x = torch.randn(2, 70, 64, dtype=torch.float64)
    y = mixer(x)
    assert y.shape == x.shape and y.isfinite().all()
    assert (mixer(x[:, :40]) - y[:, :40]).abs().max() < 1e-9
    assert (mixer(x[:1]) - y[:1]).abs().max() < 1e-9
    y.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in mixer.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_a_composition_passes_every_gate_of_the_lab(seed: int) -> None:
    genome = a_composition(seed)
    assert failing(gates_here(emit(genome, name="x"))) == [], genome.to_json()


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_every_part_passes_every_gate_and_computes_something_new(part: str) -> None:
    base = replace(GATED_DELTA, conv=False)
    genome = put(part, GATED_DELTA, Random(1)) or put(part, base, Random(1))
    if genome is None:  # wider keys exceed the limit here
        assert part == "wide_keys"
        return
    known = gates_here(emit(base if not genome.conv else GATED_DELTA, name="x")).fingerprint
    assert known is not None
    assert failing(gates_here(emit(genome, name="x"), known=[known])) == []


@pytest.mark.parametrize("plan", OLD_PLANS)
def test_a_plan_of_an_older_campaign_is_read_and_written_as_it_was(plan: str) -> None:
    genome = from_json(plan)
    assert genome is not None and genome.around == () and genome.streams == () and genome.passes == 1
    assert genome.to_json() == plan


# One spelling --------------------------------------------------------------------------------------------------


def test_three_convolutions_are_one_and_what_has_no_effect_is_not_spelled() -> None:
    single = replace(GATED_DELTA, conv=False, streams=tuple(Stream(name=n, mix="conv", taps=4) for n in PROJECTED))
    assert canonical(single) == GATED_DELTA
    silent = replace(GATED_DELTA, gate="none", streams=(Stream(name="gate", mix="shift", norm=True),))
    assert canonical(silent) == replace(GATED_DELTA, gate="none")
    beside = SmallBlock(place="beside", block=a_block(), feeds="keys")
    assert canonical(replace(GATED_DELTA, around=(beside,))).around[0].feeds == "all"
    assert canonical(replace(GATED_DELTA, streams=(Stream(name="key", norm=True, taps=5),))) == GATED_DELTA
    stepping = Path(family="ssd", steps=3)
    assert canonical(Genome(paths=(stepping,))) == Genome(paths=(Path(family="ssd"),))
    for path in (Path(family="ssd", separate=True), Path(family="softmax", window=16, tree=True)):
        assert canonical(Genome(paths=(path,))) == Genome(paths=(replace(path, separate=False, tree=False),))
    both = Path(family="delta", norm="l2", steps=2, tree=True)
    assert canonical(Genome(paths=(both,))) == Genome(paths=(replace(both, tree=False),))


@given(SEEDS, st.sampled_from(STREAMS), st.sampled_from(("none", "shift", "conv")))
@settings(max_examples=100, deadline=None)
def test_a_stream_that_was_set_is_read_back_and_the_others_are_left_alone(seed: int, name: str, mix: str) -> None:
    genome = a_composition(seed)
    before = treatments(genome)
    after = treatments(with_treatments(genome, before | {name: Stream(name=name, mix=mix)}))  # type: ignore
    if not (name == "gate" and genome.gate == "none"):
        assert after[name].mix == mix  # type: ignore[index]
    assert {n: t for n, t in after.items() if n != name} == {n: t for n, t in before.items() if n != name}


def test_the_order_of_a_chain_is_its_meaning_and_that_of_parallel_paths_is_not() -> None:
    first, second, third = (BASELINES[f].paths[0] for f in ("ssd", "gated_delta", "linear"))
    for router, equal in (("sigmoid", True), ("chain", False)):
        one, other = (
            canonical(Genome(paths=(first, *rest), router=router))  # type: ignore[arg-type]
            for rest in ((second, third), (third, second))
        )
        assert (one == other) is equal
        assert (distance(one, other) == 0) is equal


def test_what_composition_cannot_be_is_said() -> None:
    block = a_block()
    for genome, word in (
        (replace(GATED_DELTA, around=2 * (SmallBlock(place="after", block=block),)), "one place"),
        (replace(GATED_DELTA, around=(SmallBlock(place="after", block=replace(block, passes=2)),)), "applied once"),
        (replace(GATED_DELTA, around=(SmallBlock(place="after", block=a_block("softmax", keys="same")),)), ""),
        (replace(GATED_DELTA, around=(SmallBlock(place="after", block=a_block(keys="same")),)), "one width"),
        (replace(GATED_DELTA, streams=(Stream(name="input", mix="conv", taps=9),)), "2 to 8 taps"),
        (replace(GATED_DELTA, streams=2 * (Stream(name="input", mix="shift"),)), "twice"),
    ):
        assert any(word in fault for fault in faults(genome)) if word else not faults(genome)


def test_foreign_plans_of_composition_are_refused() -> None:
    good = json.loads(replace(GATED_DELTA, around=(SmallBlock(place="before", block=a_block()),)).to_json())
    assert from_json(json.dumps(good)) is not None
    stage = good["around"][0]
    deep = stage | {"block": stage["block"] | {"around": [stage]}}
    for bad in (
        good | {"passes": 3},
        good | {"passes": True},
        good | {"taps": "4"},
        good | {"taps": 1},
        good | {"keys": "huge"},
        good | {"around": [stage | {"place": "within"}]},
        good | {"around": [stage | {"feeds": "mouths"}]},
        good | {"around": [deep]},
        good | {"around": stage},
        good | {"streams": [{"name": "input", "mix": "stir"}]},
        good | {"streams": [{"name": ["input"]}]},
        good | {"paths": [good["paths"][0] | {"steps": 4}]},
        good | {"paths": [good["paths"][0] | {"separate": 1}]},
        good | {"paths": [good["paths"][0] | {"tree": "yes"}]},
    ):
        assert from_json(json.dumps(bad)) is None, bad


# What the file computes ----------------------------------------------------------------------------------------


def test_a_second_pass_uses_the_same_weights_on_what_the_first_one_gave() -> None:
    once, twice = (built(replace(GATED_DELTA, passes=passes)).double() for passes in (1, 2))
    twice.load_state_dict(once.state_dict())
    x = torch.randn(2, 21, 64, dtype=torch.float64)
    y = once(x)
    again = y + once(torch.nn.functional.rms_norm(x + y, (64,), eps=1e-6))
    assert torch.allclose(twice(x), again, atol=1e-12)


@pytest.mark.parametrize(("feeds", "read"), [("keys", "k"), ("values", "v"), ("memory", "kv"), ("all", "qkv")])
def test_a_block_before_feeds_the_streams_that_it_says(feeds: str, read: str) -> None:
    """With the block's output made zero, the projections that do not read it must not notice."""
    stage = SmallBlock(place="before", block=a_block(), feeds=feeds)  # type: ignore[arg-type]
    mixer = built(Genome(paths=(Path(family="linear"),), conv=False, around=(stage,)))
    seen: dict[str, torch.Tensor] = {}
    for name in "qkv":
        if feeds != "all":
            getattr(mixer, name).register_forward_pre_hook(lambda m, given, name=name: seen.__setitem__(name, given[0]))
    if feeds == "all":
        mixer.qkv.register_forward_pre_hook(lambda m, given: seen.update(dict.fromkeys("qkv", given[0])))  # type: ignore
    x = torch.randn(1, 9, 64)
    mixer(x)
    assert {name for name, value in seen.items() if not torch.equal(value, x)} == {*read}


def test_a_chained_path_writes_what_the_first_one_read() -> None:
    paths = (BASELINES["ssd"].paths[0], BASELINES["gated_delta"].paths[0])
    mixer = built(canonical(Genome(paths=paths, router="chain"))).double()
    seen = []
    plain = mixer.gated_delta
    mixer.gated_delta = lambda x, q, k, v: seen.append(v) or plain(x, q, k, v)  # type: ignore
    alone = mixer.ssd
    read = []
    mixer.ssd = lambda x, q, k, v: read.append((v, alone(x, q, k, v))) or read[-1][1]  # type: ignore
    mixer(torch.randn(1, 9, 64, dtype=torch.float64))
    values, o = read[0]
    assert torch.allclose(seen[0], values + torch.nn.functional.rms_norm(o, (16,), eps=1e-6))


def test_a_second_step_that_writes_nothing_leaves_one_step() -> None:
    one = canonical(Genome(paths=(replace(GATED_DELTA.paths[0], beta=2),), keys="half", gate="none"))
    two = canonical(replace(one, paths=(replace(one.paths[0], steps=2),)))
    small, large = built(one).double(), built(two).double()
    strengths = torch.cat([small.state_dict()["gated_delta_beta.weight"], torch.zeros(4, 64, dtype=torch.float64)])
    large.load_state_dict(large.state_dict() | small.state_dict() | {"gated_delta_beta.weight": strengths})
    silent = torch.tensor([0.0] * 4 + [-100.0] * 4, dtype=torch.float64)  # the second step's strength: none
    large.gated_delta_beta.register_forward_hook(lambda module, given, out: out + silent)  # type: ignore
    x = torch.randn(2, 11, 64, dtype=torch.float64)
    assert torch.allclose(large(x), small(x), atol=1e-10)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_block_of_any_family_can_stand_anywhere(family: str) -> None:
    path = BASELINES[family].paths[0] if family in BASELINES else Path(family=family, norm="l2")  # type: ignore
    block = canonical(Genome(paths=(path,), conv=False, gate="none", keys="quarter", values="quarter"))
    for place in ("before", "beside", "after"):
        genome = replace(BASELINES["linear"], gate="none", around=(SmallBlock(place=place, block=block),))  # type: ignore
        assert not faults(genome)
        assert built(genome)(torch.randn(1, 20, 64)).shape == (1, 20, 64)


# Moves ---------------------------------------------------------------------------------------------------------


@given(SEEDS, st.sampled_from(PARTS))
@settings(max_examples=100, deadline=None)
def test_a_part_that_was_put_in_can_be_taken_out_again(seed: int, part: str) -> None:
    genome, rng = a_composition(seed), Random(seed)
    inward = put(part, genome, rng)
    if inward is None or part in ("chained_paths", "narrow_keys", "narrow_values", "narrow_gate", "vector_decay_erase"):
        return  # these may be what keeps it within the limit, or valid
    assert part in operators_in(inward)
    outward = take(part, inward, rng)
    assert outward is None or part not in operators_in(outward)


@given(SEEDS, SEEDS)
@settings(max_examples=50, deadline=None)
def test_a_child_has_only_blocks_of_its_parents(one: int, other: int) -> None:
    mother, father = a_composition(one), a_composition(other)
    child = crossover(mother, father, Random(one))
    if child is not None:
        known = {(s.place, p.family) for g in (mother, father) for s in g.around for p in s.block.paths}
        assert {(s.place, p.family) for s in child.around for p in s.block.paths} <= known


@given(SEEDS)
@settings(max_examples=50, deadline=None)
def test_two_mixers_differ_in_nothing_only_where_they_are_one_up_to_windows(seed: int) -> None:
    genome = a_composition(seed)
    assert distance(genome, genome) == 0
    for name in operators_in(genome):
        less = take(name, genome, Random(seed))
        assert less is None or distance(genome, less) == distance(less, genome) > 0

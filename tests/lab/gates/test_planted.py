"""Every planted defect is caught by its gate and by no other; unusual mixers that are right pass all gates.

Each is a second of all gates: one defect a gate and some of the others are fast tests, the rest slow ones.
"""

from __future__ import annotations

from functools import cache

import pytest

from move37.lab.gates.registry import GATES
from move37.lab.inside.bench import Bench
from tests.lab.gates.defects import CLEAN, PLANTED, planted
from tests.lab.gates.disguised import DISGUISED
from tests.lab.gates.here import failing, gates_here, result, spawner
from tests.lab.gates.honest import HONEST
from tests.lab.gates.test_judging import FOUND_NO_NUMBERS
from tests.shortened import slow_but

ONLY_OUTSIDE = {"a loop within a loop of plain Python"}  # shows in CPU seconds alone: test_run.py
DEFECTS = sorted(PLANTED.keys() - ONLY_OUTSIDE)
LEAK, WIDTH = "a leak that starts behind position 64", "a width of 64 written down"  # looked at more closely below
ONE_A_GATE = {PLANTED[defect][0]: defect for defect in (*DEFECTS, LEAK, WIDTH)}.values()
# What a call in training mode does to its own weights or statistics reaches the same call's earlier outputs.
TRAINED_ON_ITS_FUTURE = {"an optimiser of its own in forward", "running statistics of the batches in training"}
SOME_DISGUISED = ("a look ahead", "no gradient but NaN")
SOME_HONEST = ("dropout in training", "a recurrence written as a loop")
once = cache(gates_here)


@pytest.mark.parametrize("defect", slow_but(DEFECTS, ONE_A_GATE))
def test_a_planted_defect_fails_its_gate_and_only_it(defect: str) -> None:
    gate, source = PLANTED[defect]

    checked = once(source)

    assert failing(checked) == [*(["causality"] if defect in TRAINED_ON_ITS_FUTURE else []), gate]
    assert len(result(checked, gate).message) > 15


@pytest.mark.parametrize("defect", slow_but(DISGUISED, SOME_DISGUISED))
def test_what_hides_from_a_question_is_found_all_the_same(defect: str) -> None:
    gate, source = DISGUISED[defect]

    assert gate in failing(once(source))


@pytest.mark.parametrize("mixer", slow_but(HONEST, SOME_HONEST))
def test_an_unusual_mixer_that_is_right_passes_every_gate(mixer: str) -> None:
    checked = gates_here(HONEST[mixer])

    assert [(r.name, r.message) for r in checked.results if r.passed is False] == []


WHERE = {
    "the output": ("y = y * float('nan')", FOUND_NO_NUMBERS),
    "a gradient": ("y = y * (1 + (u * 0).sum(-1, keepdim=True).sqrt())", ("dead_parameters", "determinism")),
}


@pytest.mark.parametrize("where", WHERE)
def test_a_gate_that_compares_says_that_there_are_no_numbers(where: str) -> None:
    line, gates = WHERE[where]
    bench = Bench(spawner(), planted(last=line), seconds=20.0, draw=0)
    try:
        for gate in (gate for gate in GATES if gate.name in gates):
            bench.reseed()
            raw = gate.measure(bench)
            assert raw.value is None and raw.see, gate.name
    finally:
        bench.close()


def test_no_question_of_a_gate_tells_by_its_seed_or_its_numbers_that_it_is_one() -> None:
    one, two = (Bench(spawner(), CLEAN, seconds=20.0) for _ in range(2))
    seeds, inputs = set(), set()
    try:
        for bench in (one, two):
            for _ in range(2):
                bench.reseed()
                module = bench.build(perturbed=False)
                seeds |= {module.seed(draw) for draw in range(8)}
                foretold = Bench(spawner(), CLEAN)
                foretold._secret = bench._salt  # a constructor knows it
                inputs |= {float(it.inputs(2, 97)[0, 0, 0]) for it in (bench, foretold)}
    finally:
        one.close()
        two.close()
    assert len(seeds) == 32 and len(inputs) == 8 and sum(seed < 2**40 for seed in seeds) < 2


def test_the_message_says_where_the_future_leaks() -> None:
    checked = once(PLANTED[LEAK][1])

    assert "future" in result(checked, "causality").message
    assert "position" in result(checked, "causality").message


def test_an_exception_comes_with_the_candidates_own_frames_only() -> None:
    checked = once(PLANTED[WIDTH][1])

    traceback = result(checked, "shape").traceback
    assert "torch.ones(64" in traceback
    assert "bench.py" not in traceback

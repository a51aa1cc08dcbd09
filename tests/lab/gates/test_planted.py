"""Every planted defect is caught by its gate and by no other; unusual mixers that are right pass all gates.

Each is a second of all gates: one defect a gate and some of the others are fast tests, the rest slow ones.
"""

from __future__ import annotations

from functools import cache

import pytest

from tests.lab.gates.defects import PLANTED
from tests.lab.gates.here import failing, gates_here, result
from tests.lab.gates.honest import HONEST
from tests.shortened import slow_but

ONLY_OUTSIDE = {"a loop within a loop of plain Python"}  # shows in CPU seconds alone: test_run.py
DEFECTS = sorted(PLANTED.keys() - ONLY_OUTSIDE)
LEAK, WIDTH = "a leak that starts behind position 64", "a width of 64 written down"  # looked at more closely below
ONE_A_GATE = {PLANTED[defect][0]: defect for defect in (*DEFECTS, LEAK, WIDTH)}.values()
SOME_HONEST = ("dropout in training", "a recurrence written as a loop")
once = cache(gates_here)


@pytest.mark.parametrize("defect", slow_but(DEFECTS, ONE_A_GATE))
def test_a_planted_defect_fails_its_gate_and_only_it(defect: str) -> None:
    gate, source = PLANTED[defect]

    checked = once(source)

    assert failing(checked) == [gate]
    assert len(result(checked, gate).message) > 15


@pytest.mark.parametrize("mixer", slow_but(HONEST, SOME_HONEST))
def test_an_unusual_mixer_that_is_right_passes_every_gate(mixer: str) -> None:
    checked = gates_here(HONEST[mixer])

    assert [(r.name, r.message) for r in checked.results if r.passed is False] == []


def test_the_message_says_where_the_future_leaks() -> None:
    checked = once(PLANTED[LEAK][1])

    assert "future" in result(checked, "causality").message
    assert "position" in result(checked, "causality").message


def test_an_exception_comes_with_the_candidates_own_frames_only() -> None:
    checked = once(PLANTED[WIDTH][1])

    traceback = result(checked, "shape").traceback
    assert "torch.ones(64" in traceback
    assert "bench.py" not in traceback

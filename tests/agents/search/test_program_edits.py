"""Programs without a language model: only numbers and statements of the region change, and the file stays Python."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import move37.lab.tasks
from move37.agents.search.program_edits import END, START, apply, mutate, region

CIRCLES = Path(move37.lab.tasks.__file__).parent / "examples" / "circles"
PROGRAM = (CIRCLES / "initial_program.py").read_text()
TABS = f'''"""Ünïcode before the region: 0.5"""
OUTSIDE = 0.25
{START}
def f(x):
    """Doc 1.5"""
    größe = 0.5 * x  # a comment, 7
    if x: y = 1
    größe += 2; größe -= 1
    for i in range(3):
        größe += i
    return größe
{END}
print(f(1.0))
'''


def outside(text: str) -> tuple[str, str]:
    span = region(text)
    assert span is not None
    return text[: span[0]], text[span[1] :]


@pytest.mark.parametrize("program", [PROGRAM, TABS], ids=["circles", "awkward"])
def test_edits_stay_in_the_region_and_leave_the_rest_byte_for_byte(program: str) -> None:
    kinds: Counter[str] = Counter()
    for seed in range(120):
        rng, text = Random(seed), program
        for _ in range(3):
            edit = mutate(text, rng)
            if edit is not None:
                changed = apply(text, [edit])
                assert changed is not None and changed != text
                ast.parse(changed)
                assert outside(changed) == outside(program)
                kinds[edit.kind] += 1
                text = changed
    assert set(kinds) == {"literal", "delete", "copy", "swap"}


@given(st.text(max_size=200), st.integers(min_value=0, max_value=1000))
@settings(max_examples=200, deadline=None)
def test_no_region_breaks_it(body: str, seed: int) -> None:
    text = f"{START}\n{body}\n{END}\n"
    edit = mutate(text, Random(seed))
    if edit is not None:
        changed = apply(text, [edit])
        assert changed is not None
        ast.parse(changed)


def test_an_edit_does_not_fit_another_text() -> None:
    edit = mutate(PROGRAM, Random(1))
    assert edit is not None
    assert apply(PROGRAM.replace("0.26", "0.2600001"), [edit]) is None or edit.kind != "literal"
    assert apply("nothing here", [edit]) is None  # type: ignore[list-item]


def test_numbers_of_a_line_without_change_of_meaning_are_left() -> None:
    still = f"{START}\n{END}\n"
    assert all(mutate(still, Random(seed)) is None for seed in range(50))

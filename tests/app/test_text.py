"""Foreign text never commands a terminal."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from move37.app.text import bare, harmless, one_line, spark


@given(st.text())
def test_no_control_character_survives(text: str) -> None:
    for made in (harmless(text), bare(text)):
        assert not any(ord(c) < 32 and c not in "\n\t" for c in made)
        assert not any(0x7F <= ord(c) < 0xA0 or c in "\u202e\u2066\u200f" for c in made)


@given(st.text(), st.integers(1, 40))
def test_one_line_is_one_line_of_that_width(text: str, width: int) -> None:
    made = one_line(text, width)
    assert len(made) <= width and len(made.splitlines()) <= 1


def test_ordinary_text_is_left_alone() -> None:
    assert harmless("def f(x):\n\treturn 'ä→✓'\r\n") == "def f(x):\n\treturn 'ä→✓'\n"


def test_pages_lose_whole_escape_sequences() -> None:
    assert bare("a\x1b[31mred\x1b[0m \x1b]0;title\x07end\x9b2J") == "ared end"


def test_a_curve_of_nothing_and_of_nonsense_is_drawn() -> None:
    assert spark([]) == "" and spark([math.nan, math.inf]) == ""
    assert spark([3.0, 2.0, 1.0]) == "█▄▁" and spark([2.0, 2.0]) == "▁▁"

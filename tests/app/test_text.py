"""Foreign text never commands a terminal, and hides nothing from whoever reads it."""

from __future__ import annotations

import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.app.text import bare, harmless, one_line, spark

ANY = st.text(st.characters(codec=None, categories=None))  # lone surrogates included
KEPT = {"\n", "\t", "\u200c", "\u200d"}


def unseen(character: str) -> bool:
    """Whether a character commands something, or draws nothing though it is there."""
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in KEPT


# Prepended signs of Arabic, Syriac, Kaithi and Egyptian are "Cf" by category, and are drawn.
DRAWN = {0x70F, 0x8E2, 0x890, 0x891, 0x110BD, 0x110CD, *range(0x600, 0x606), 0x6DD, *range(0x13430, 0x13440)}
DRAWN |= set(range(0x1BCA0, 0x1BCA4))
# Nothing is assigned in planes 4 to 13, so that a few of each stand for the rest.
CODES = (*range(0x40000), *range(0x40000, 0xE0000, 61), *range(0xE0000, 0x110000))


def test_of_all_characters_none_that_cannot_be_seen_survives() -> None:
    for code in CODES:
        for made in (harmless(chr(code)), bare(chr(code))):
            assert not any(unseen(c) for c in made if ord(c) not in DRAWN), hex(code)


@pytest.mark.parametrize("code", [0x200B, 0xFEFF, 0xE0041, 0xE007F, 0xE0100, 0x202E, 0x2066, 0xAD, 0x3164, 0xD800])
def test_what_smuggles_text_is_shown_as_a_sign(code: int) -> None:
    assert harmless(f"a{chr(code)}b") == "a\ufffdb"


@given(ANY)
def test_what_was_made_harmless_can_be_printed_and_stays_as_it_is(text: str) -> None:
    for make in (harmless, bare, one_line):
        made = make(text)
        assert made.encode("utf-8") is not None and make(made) == made


@given(ANY, st.integers(1, 40))
def test_one_line_is_one_line_of_that_width(text: str, width: int) -> None:
    made = one_line(text, width)
    assert len(made) <= width and len(made.splitlines()) <= 1


@pytest.mark.parametrize("end", ["\n", "\r\n", "\x85", "\u2028", "\u2029"])
def test_every_line_end_is_a_newline(end: str) -> None:
    assert harmless(f"a{end}b") == "a\nb"


def test_ordinary_text_is_left_alone() -> None:
    assert harmless("def f(x):\n\treturn 'ä→✓'\r\n") == "def f(x):\n\treturn 'ä→✓'\n"
    assert harmless("می‌خواهم 👩‍🔬 ❤️") == "می‌خواهم 👩‍🔬 ❤️"


def test_pages_lose_whole_escape_sequences() -> None:
    assert bare("a\x1b[31mred\x1b[0m \x1b]0;title\x07end\x9b2J") == "ared end"


def test_a_curve_of_nothing_and_of_nonsense_is_drawn() -> None:
    assert spark([]) == "" and spark([math.nan, math.inf]) == ""
    assert spark([3.0, 2.0, 1.0]) == "█▄▁" and spark([2.0, 2.0]) == "▁▁"

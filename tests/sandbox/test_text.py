"""Output is harmless before anybody sees it."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from move37.sandbox.text import Harmless, harmless

PIECES = st.lists(
    st.binary(max_size=12) | st.sampled_from([b"\x1b[31m", b"\r\n", b"\r", b"\xe2\x80", b"\xae"]), max_size=8
)


@given(st.binary(max_size=200))
def test_nothing_that_a_terminal_obeys_is_left(data: bytes) -> None:
    shown = harmless(data)
    assert all(letter in "\n\t" or unicodedata.category(letter) != "Cc" for letter in shown)
    assert not set(shown) & set("\u202e\u2066\u200f\ufeff\U000e0041")


@given(PIECES)
def test_where_the_stream_is_cut_makes_no_difference(pieces: list[bytes]) -> None:
    stream = Harmless()
    text = "".join(stream.feed(piece) for piece in pieces) + stream.feed(b"", last=True)
    assert text == harmless(b"".join(pieces))


@given(st.text(alphabet=st.characters(exclude_categories=["C", "Z"]) | st.sampled_from(" \n\t"), max_size=100))
def test_plain_text_passes_unchanged(text: str) -> None:
    assert harmless(text.encode()) == text


def test_a_sequence_can_be_read_and_does_nothing() -> None:
    assert harmless(b"\x1b[2J\x07") == "␛[2J␇"


def test_bytes_that_are_not_utf8_are_replaced() -> None:
    assert harmless(b"a\xffb\xc3") == "a\ufffdb\ufffd"


def test_a_progress_bar_cannot_overwrite_what_stands_there() -> None:
    assert harmless(b"50 %\r100 %\r\n") == "50 %\n100 %\n"

"""Which users below an ordinary one are granted, and whether they can read what they need."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.sandbox.process import subordinate
from tests.sandbox import ordinary


@given(st.lists(st.tuples(st.integers(0, 2**32), st.integers(1, 2**20)), max_size=4))
def test_the_longest_range_of_this_user_counts(ranges: list[tuple[int, int]]) -> None:
    mine = "".join(f"{name}:{first}:{count}\n" for name, (first, count) in zip("ab" * 2, ranges, strict=False))
    text = f"# a comment\nab:5:{2**21}\nnonsense\na:x:9999999\na:1\n{mine}\n"
    first, count = subordinate.granted(text, frozenset("ab"))
    assert count == max([count for _, count in ranges], default=0)
    assert not ranges or (first, count) in ranges


@pytest.mark.parametrize(("mode", "closed"), [(0o644, False), (0o640, True), (0o600, True), (0o444, False)])
def test_a_file_that_others_cannot_read_is_closed(tmp_path: Path, mode: int, closed: bool) -> None:
    file = tmp_path / "module.py"
    file.touch()
    file.chmod(mode)
    assert subordinate.is_closed(file) is closed


@pytest.mark.parametrize(("mode", "closed"), [(0o755, False), (0o754, True), (0o711, True), (0o700, True)])
def test_a_folder_that_others_cannot_read_is_closed(tmp_path: Path, mode: int, closed: bool) -> None:
    tmp_path.chmod(mode)
    assert subordinate.is_closed(tmp_path) is closed


def test_the_test_grants_what_an_administrator_would() -> None:
    names = frozenset({"ordinary", str(ordinary.USER)})
    for name in ("subuid", "subgid"):
        assert subordinate.granted(ordinary.FILES[name], names) == (ordinary.BELOW, 65536)

"""Names of files that go in and come back."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.sandbox.result_validation import check_name, fault, write_results
from move37.sandbox.text import harmless

NAMES = st.text(max_size=40) | st.lists(st.sampled_from(["..", ".", "a", "", "b.txt", "C:", "\\"]), max_size=5).map(
    "/".join
)


@given(NAMES)
def test_a_name_without_fault_stays_in_its_folder(name: str) -> None:
    if fault(name) is None:
        path = PurePosixPath("/folder") / name
        assert path.is_relative_to("/folder") and ".." not in path.parts
        assert harmless(name.encode()) == name


@pytest.mark.parametrize(
    "name",
    ["", "/etc/x", "../x", "a/../b", "a//b", "./a", "a\\b", "a\nb", "\x1b[2J", "\udcff", "a\u202eb", "x" * 300],
)
def test_what_leads_elsewhere_has_a_fault(name: str) -> None:
    assert fault(name)
    with pytest.raises(ValueError):
        check_name(name)


@pytest.mark.parametrize("name", ["a", "a/b.json", ".hidden", "ä ö.txt", "a..b", "run_11:22:33.json", "C:x"])
def test_ordinary_names_have_none(name: str) -> None:
    assert fault(name) is None


def test_results_are_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "out" / "file").symlink_to(tmp_path / "outside" / "victim")
    for name in ("link/x", "file"):
        with pytest.raises(ValueError, match="symbolic link"):
            write_results({name: b"x"}, tmp_path / "out")
    assert not list((tmp_path / "outside").iterdir())

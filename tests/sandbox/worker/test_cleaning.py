"""Cleaning leaves nothing that one may remove, and says so when something stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from move37.sandbox.worker.cleaning import Leftover, empty, remove_tree, verify_empty

NAMES = st.sampled_from(["a", "\x01", "\x011", "0" * 24, ".hidden", "ä", "\n", "x" * 200])
TREES = st.recursive(
    st.sampled_from(["file", "link", "pipe", "hard"]),
    lambda inner: st.tuples(
        st.sampled_from([0, 0o100, 0o300, 0o500, 0o700]), st.dictionaries(NAMES, inner, max_size=4)
    ),
    max_leaves=12,
)


def grow(place: Path, tree: object) -> None:
    if isinstance(tree, tuple):
        mode, inside = tree
        place.mkdir()
        for name, inner in inside.items():
            grow(place / name, inner)
        place.chmod(mode)
    elif tree == "link":
        place.symlink_to("/etc")
    elif tree == "pipe":
        os.mkfifo(place)
    else:
        place.write_text("x")
        if tree == "hard":
            os.link(place, f"{place}{'y' * 9}")


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(NAMES, TREES, max_size=4))
def test_nothing_stays_however_it_nests_and_whatever_is_closed(tmp_path_factory, tree: dict[str, object]) -> None:
    top = tmp_path_factory.mktemp("top")
    for name, inner in tree.items():
        grow(top / name, inner)
    empty(str(top))
    verify_empty([str(top)])


def test_folders_deeper_than_a_path_may_be_long(tmp_path: Path) -> None:
    here = os.getcwd()
    try:
        os.chdir(tmp_path)
        for _ in range(300):
            os.mkdir("d" * 100)
            os.chdir("d" * 100)
    finally:
        os.chdir(here)
    empty(str(tmp_path))
    verify_empty([str(tmp_path)])


def test_nothing_outside_is_touched_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("kept")
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside/link").symlink_to(tmp_path / "outside")
    remove_tree(str(tmp_path / "inside"))
    assert (tmp_path / "outside/file").read_text() == "kept" and not (tmp_path / "inside").exists()


def test_what_stayed_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(Leftover, match="1 name"):
        verify_empty([str(tmp_path)])
    verify_empty([str(tmp_path / "missing")])

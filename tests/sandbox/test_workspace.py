"""What of a block's files is kept in the executor's folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.sandbox.executor.workspace import fitting, unpack

FILES = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 9))  # name -> bytes


@given(FILES, FILES, st.integers(0, 20))
def test_what_is_kept_fits_or_is_all_of_it_old(old: dict[str, int], new: dict[str, int], limit: int) -> None:
    before, after = ({name: bytes(size) for name, size in files.items()} for files in (old, new))
    kept, out = fitting(before, after, limit)
    changed = {name for name in kept if before.get(name) != kept[name]}
    assert sum(map(len, kept.values())) <= limit or not changed
    assert all(kept.get(name) == before.get(name) for name in out)
    assert all(kept[name] == after[name] for name in after if name not in out)
    assert not out or sum(map(len, after.values())) > limit


@pytest.mark.parametrize("name", ["link/x", "link/file", "link/file/x", "link/made/x", "link/empty", "sub/link/file/x"])
def test_nothing_behind_a_link_is_written_made_or_removed(name: str, tmp_path: Path) -> None:
    folder, outside = tmp_path / "work", tmp_path / "outside"
    for path in (folder / "sub", outside / "empty"):
        path.mkdir(parents=True)
    (outside / "file").write_text("kept")
    for link in (folder / "link", folder / "sub/link"):
        link.symlink_to(outside)
    assert unpack(folder, {"link/file": b"old"}, {name: b"new"}).keys() == {name}
    assert {path.name for path in outside.rglob("*")} == {"file", "empty"}
    assert (outside / "file").read_text() == "kept" and (outside / "empty").is_dir()

"""What of a block's files is kept in the executor's folder."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from move37.sandbox.executor.workspace import fitting

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

"""What a job left: the good files come, every other one is left out by name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from move37.sandbox.result_validation import fault
from move37.sandbox.worker import results
from move37.sandbox.worker.results import gather

LETTERS = st.characters(exclude_characters="/\0", exclude_categories=["Cs"])


def job(*collect: str, result_bytes: int = 1 << 20) -> dict:
    return {"limits": {"result_bytes": result_bytes}, "collect": list(collect), "writable": False, "files": []}


def folders(root: Path) -> Path:
    for name in ("out", "work"):
        (root / name).mkdir()
    return root / "out"


@settings(max_examples=80, deadline=None)
@example({"*": "link"})
@given(
    st.dictionaries(st.text(LETTERS, min_size=1, max_size=60), st.sampled_from(["file", "link", "pipe"]), max_size=8)
)
def test_every_file_comes_or_is_named(tmp_path_factory, kinds: dict[str, str]) -> None:
    root = tmp_path_factory.mktemp("root")
    out = folders(root)
    made = {}
    for name, kind in kinds.items():
        if name in (".", "..") or len(name.encode()) > 255 or (out / name).exists():
            continue
        made[name] = kind
        if kind == "file":
            (out / name).write_text("x")
        elif kind == "link":
            (out / name).symlink_to("/etc/passwd")
        else:
            os.mkfifo(out / name)
    found = gather(root, job("*"))
    assert len(found.files) + found.left_out_count == len(made)
    assert {name for name, kind in made.items() if kind == "file" and fault(name) is None} <= set(found.files)
    assert all(made[name] == "file" for name in found.files) and found.refused is None


def test_a_folder_that_may_be_listed_and_not_entered_costs_only_what_is_in_it(tmp_path: Path, monkeypatch) -> None:
    """As root one enters everything, so the kernel's answer is given here."""
    out = folders(tmp_path)
    for name in ("closed/in", "open/in", "last"):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("x")
    real, closed = os.stat, (out / "closed").stat().st_ino

    def stat(path, *, dir_fd=None, **more):
        if dir_fd is not None and os.fstat(dir_fd).st_ino == closed:
            raise PermissionError(13, "Permission denied")
        return real(path, dir_fd=dir_fd, **more)

    monkeypatch.setattr(os, "stat", stat)
    found = gather(tmp_path, job("*"))
    assert sorted(found.files) == ["last", "open/in"]
    assert found.left_out == [("closed/in", "cannot be looked at (Permission denied)")]


def test_a_file_that_was_asked_for_by_name_is_missed(tmp_path: Path) -> None:
    (folders(tmp_path) / "weights").symlink_to("/etc/passwd")
    found = gather(tmp_path, job("weights"))
    assert found.refused == "weights is a link" and not found.files


def test_a_file_called_like_the_pattern_was_not_asked_for_by_name(tmp_path: Path) -> None:
    out = folders(tmp_path)
    for name in ("*", "[a]", "?"):
        (out / name).symlink_to("/etc/passwd")
    (out / "good").write_text("x")
    found = gather(tmp_path, job("*", "[a]", "?"))
    assert (found.refused, list(found.files), found.left_out_count) == (None, ["good"], 3)


def test_the_limit_leaves_out_what_is_too_large_and_takes_the_rest(tmp_path: Path) -> None:
    out = folders(tmp_path)
    for name, size in (("a", 10), ("b", 100), ("c", 10)):
        (out / name).write_bytes(bytes(size))
    found = gather(tmp_path, job("*", result_bytes=30))
    assert set(found.files) == {"a", "c"} and dict(found.left_out)["b"].startswith("is too large")


def test_more_names_than_are_looked_at_end_the_looking(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(results, "MAX_WALKED", 10)
    out = folders(tmp_path)
    for number in range(30):
        (out / f"{number:02}").write_text("")
    found = gather(tmp_path, job("*"))
    assert len(found.files) == 10 and found.left_out_count == 1


def test_executable_bits_are_told(tmp_path: Path) -> None:
    out = folders(tmp_path)
    (out / "run.sh").write_text("")
    (out / "run.sh").chmod(0o755)
    (out / "data").write_text("")
    found = gather(tmp_path, job("*"))
    assert found.files["run.sh"].executable and not found.files["data"].executable


def test_a_results_folder_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "out").symlink_to("/etc")
    found = gather(tmp_path, job("*"))
    assert not found.files and found.left_out_count == 1


@settings(max_examples=40, deadline=None)
@given(
    old=st.sets(st.integers(0, 30), max_size=20),
    changed=st.sets(st.integers(0, 30), max_size=6),
    new=st.sets(st.integers(31, 60), max_size=6),
)
def test_what_is_new_or_changed_comes_before_what_a_job_brought(tmp_path_factory, old, changed, new) -> None:
    root = tmp_path_factory.mktemp("root")
    folders(root)
    changed &= old
    for number in old:
        (root / "work" / f"{number:02}").write_text("old")
        os.utime(root / "work" / f"{number:02}", ns=(5, 5))
    asked = job("./*") | {"writable": True, "files": [[f"{n:02}", 3, False] for n in old], "placed_ns": 5}
    for number in changed | new:
        (root / "work" / f"{number:02}").write_text("new")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "MAX_RESULT_FILES", most := max(len(changed | new), 1))
        found = gather(root, asked)
    assert {f"{n:02}" for n in changed | new} <= set(found.files)
    assert len(found.files) == min(len(old | new), most) and len(found.files) + found.left_out_count == len(old | new)

"""Names of files that go in and come back."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.sandbox.result_validation import check_name, fault, git_settings, write_results
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


def test_one_odd_result_is_left_out_with_its_reason_and_the_rest_is_written(tmp_path: Path) -> None:
    """Through a link, into a pipe or socket, where a folder stands or a file should be one, under two roles."""
    out, outside = tmp_path / "out", tmp_path / "outside"
    outside.mkdir()
    out.mkdir()
    (out / "link").symlink_to(outside)
    (out / "dangling").symlink_to(outside / "nothing")
    (out / "file").symlink_to(outside / "victim")
    os.mkfifo(out / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(out / "socket"))
    (out / "folder").mkdir()
    odd = [
        "link/x",
        "link/made/x",
        "link/made/too/x",
        "dangling/x",
        "file",
        "pipe",
        "pipe/x",
        "socket",
        "folder",
        "a/b",
        "../up",
        "n\nl",
    ]
    refused = write_results(dict.fromkeys(["a", "good", "sub/good", *odd], b"x"), out)
    assert sorted(refused) == sorted(odd) and all(refused.values())
    assert [(out / name).read_bytes() for name in ("a", "good", "sub/good")] == [b"x"] * 3
    assert not list(outside.iterdir()) and not (tmp_path / "up").exists()


SETTINGS = [
    [".git/config"],
    ["sub/.git/config.worktree", "sub/.git/hooks/post-checkout"],
    [".git/modules/a/config", ".git/modules/a/hooks/x"],
    [".GIT/Config"],
    [".git"],
    ["HEAD", "config"],
    ["a/HEAD", "a/hooks/pre-commit"],
    ["a/Head", "a/commondir"],
]


@pytest.mark.parametrize("said", SETTINGS)
def test_what_git_would_run_is_found_in_any_repository(said: list[str]) -> None:
    plain = [".git/HEAD", ".git/objects/ab/c", "a/objects/x", "a/refs/heads/main", "src/config", "hooks.py", "b/HEAD"]
    assert git_settings([*said, *plain]) == set(said)
    assert git_settings(["config", "hooks/x", "src/config", "src/HEAD.txt", ".github/config"]) == set()


def test_no_other_name_of_a_file_that_is_replaced_changes(tmp_path: Path) -> None:
    """As package managers keep one file for several environments."""
    (tmp_path / "cache").write_text("mine")
    (tmp_path / "out").mkdir()
    for name in ("one", "two"):
        (tmp_path / "out" / name).hardlink_to(tmp_path / "cache")
    assert write_results({"one": b"theirs"}, tmp_path / "out") == {}
    assert [(tmp_path / name).read_text() for name in ("cache", "out/one", "out/two")] == ["mine", "theirs", "mine"]


def test_a_shorter_result_replaces_a_longer_one(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"longer")
    assert write_results({"x": b"new"}, tmp_path) == {} and (tmp_path / "x").read_bytes() == b"new"


def test_a_full_disk_is_an_error_and_no_odd_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(OSError, match="No space"):
        write_results({"x": b"y"}, tmp_path)

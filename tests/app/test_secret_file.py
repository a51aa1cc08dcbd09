"""Words that let somebody in: kept, for their owner alone, and never empty, whatever a crash left behind."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from move37.app.exits import EnvironmentFault
from move37.app.mcp.laboratory import Laboratory
from move37.app.mcp.serve import TOKEN_FILE
from move37.app.mcp.server import build
from move37.app.secret_file import secret
from move37.app.settings import load

NAMES = (TOKEN_FILE, "page.secret", "page.token")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("left", [None, b"", b"\n", b"  ", b"\xff\xfe"])
def test_a_secret_is_made_once_and_is_never_empty(tmp_path: Path, name: str, left: bytes | None) -> None:
    home = tmp_path / "home"
    if left is not None:  # by a process that ended between creating the file and writing it
        home.mkdir()
        (home / name).write_bytes(left)
    word = secret(home, name)
    assert len(word) > 20 and secret(home, name) == word
    assert stat.S_IMODE((home / name).stat().st_mode) == 0o600
    assert [path.name for path in home.iterdir()] == [name]


def test_of_many_processes_at_once_all_get_one_word(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        words = set(pool.map(lambda _: secret(tmp_path / "home", TOKEN_FILE), range(40)))
    assert len(words) == 1


def test_where_nothing_can_be_kept_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(EnvironmentFault, match="cannot be kept"):
        secret(tmp_path / "home", TOKEN_FILE)


@pytest.mark.parametrize("token", ["", " ", "\n"])
def test_no_server_is_built_with_a_token_that_lets_everybody_in(tmp_path: Path, token: str) -> None:
    with pytest.raises(ValueError, match="protects nothing"):
        build(Laboratory(load({"home": tmp_path})), token=token, url="http://127.0.0.1:1")

"""Commands of the pages that execute, train or serve: typed in a shell, to their end or until they are seen to work.

What would go on for minutes or a night is ended by Ctrl-C as soon as it has said what shows that it has begun.
"""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from tests.guides.conftest import a_folder
from tests.guides.table import BEGINS, WORKS, Row
from tests.guides.terminal import Typed

pytestmark = pytest.mark.slow


def once(rows: tuple[Row, ...]) -> list[ParameterSet]:
    """Of rows that come to the same words, the first."""
    return [pytest.param(row, id=row.line) for row in {row.typed: row for row in reversed(rows)}.values()][::-1]


def a_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.mark.parametrize("row", once(WORKS))
def test_it_ends(row: Row, tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "here", row.record, row.settings)
    with Typed(row.typed, folder) as typed:
        assert typed.ended() in row.status, typed.said
        assert row.says in typed.said
    assert all((folder / name).exists() for name in row.leaves)


@pytest.mark.parametrize("row", once(BEGINS))
def test_it_begins_and_ends_at_ctrl_c(row: Row, tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "here", row.record, row.settings)
    with Typed(row.typed.replace("PORT", a_port()), folder) as typed:
        typed.says(row.says)
        assert typed.interrupted() in row.status, typed.said
        assert row.last in typed.said
        assert "Traceback" not in typed.said

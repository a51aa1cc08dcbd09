"""Commands of the pages that look at a record or at this machine: typed in a folder with a real archive."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.guides.table import LOOKS, Row


@pytest.mark.parametrize("row", [pytest.param(row, id=row.line, marks=row.marks) for row in LOOKS])
def test_it_answers(row: Row, stand: Callable[[str], Path], answer_of: Callable[..., tuple[int, str]]) -> None:
    folder = stand(row.record)
    for line in (*row.before, row.typed):
        status, said = answer_of(shlex.split(line)[1:], folder, row.stdin)
    assert status in row.status, said
    assert not row.says or row.says in said
    assert all((folder / name).exists() for name in row.leaves)

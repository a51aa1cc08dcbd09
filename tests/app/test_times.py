"""Times are the archive's, UTC, and wherever one is shown it says so: readers sit in other zones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from move37.app.page.frame import render
from move37.app.views.conversation import utterances
from move37.lab.archive.message import Message, now
from move37.lab.archive.store import Archive
from tests.app.conftest import Move37

A_TIME = re.compile(r"\b(?:\d{4}-\d\d-\d\d )?\d\d:\d\d(?::\d\d)?\b(?! UTC|:)")
SOURCE = Path(__file__).parents[2] / "app"


@pytest.mark.parametrize("line", ["show c1-003 --chat", "show c1-003", "list"])
def test_no_command_shows_a_time_without_its_zone(move37: Move37, finished: Path, line: str) -> None:
    answer = move37("--home", str(finished), *line.split())
    shown, _, _ = answer.out.partition("finished (UTC)")  # the heading of a table's column says it
    assert answer.status == 0 and shown and A_TIME.findall(shown) == []


def test_a_conversation_and_a_report_say_utc_too(finished: Path) -> None:
    with Archive.open(finished, readonly=True) as archive:
        said = archive.lines("c1-003")
    assert said and all(re.fullmatch(r"\d\d:\d\d:\d\d UTC", u.time) for u in utterances(said))
    html = render("talk.html", said=utterances([Message(source="Critic", text="new", at=now())]), link="")
    assert re.search(r"\d\d:\d\d:\d\d UTC", html)


def test_times_of_the_archive_are_cut_where_they_are_spelled_and_nowhere_else() -> None:
    cut = re.compile(r"\bat\[1?1?:1[69]\]")
    found = {f.name for f in SOURCE.rglob("*.py") if cut.search(f.read_text(encoding="utf-8"))}
    assert found <= {"units.py", "experiment.py"}  # the latter under a heading that says UTC

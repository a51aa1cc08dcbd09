"""`move37 principles`: what stands, what was struck, for a person and for a program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from move37.lab.archive import principles
from move37.lab.archive.store import Archive
from move37.lab.records import Brief, Principle
from tests.app.conftest import Move37

CONV = Principle(
    id="conv@gla", text="A convolution \x1b[31mhelps.", supports=("c1-001",), author="record", strength=3.0
)
GATE = Principle(id="gate@gla", text="A gate helps.", contradicts=("c1-004",), author="record", strength=5.0)
GONE = Principle(id="conv@gla", text="A convolution helps.", author="record", struck="the interval holds zero now")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with Archive.open(tmp_path / "home") as archive:
        campaign = archive.begin_campaign(Brief()).id
        principles.keep(archive, campaign, (CONV, GATE))
        principles.keep(archive, campaign, (GONE, GATE))
    return tmp_path / "home"


def test_what_stands_is_shown_with_the_experiments_against_it(move37: Move37, home: Path) -> None:
    answer = move37("--home", str(home), "principles")
    assert answer.status == 0 and "A gate helps." in answer.out and "against: c1-004" in answer.out
    assert "convolution" not in answer.out


def test_the_history_tells_what_was_struck_and_why(move37: Move37, home: Path) -> None:
    answer = move37("--home", str(home), "principles", "--history")
    assert "STRUCK: the interval holds zero now" in answer.out and "\x1b" not in answer.out


def test_a_program_gets_records(move37: Move37, home: Path) -> None:
    standing = json.loads(move37("--home", str(home), "principles", "--json").out)
    assert [p["id"] for p in standing] == ["gate@gla"] and standing[0]["contradicts"] == ["c1-004"]
    revisions = json.loads(move37("--home", str(home), "principles", "--history", "--json").out)
    assert len(revisions) == 2 and len(revisions[0]["principles"]) == 2


def test_a_home_without_any_says_what_to_do(move37: Move37, tmp_path: Path, finished: Path) -> None:
    answer = move37("--home", str(tmp_path / "none"), "principles", "--json")
    assert (answer.status, json.loads(answer.out)) == (0, []) and "move37 run" in answer.err
    assert "two experiments" in move37("--home", str(finished), "principles").out


@pytest.mark.parametrize(("revisions", "history"), [(((),), False), (((CONV,), (GONE,)), True)])
def test_a_laboratory_that_holds_nothing_says_why_and_where_the_numbers_are(
    revisions: tuple[tuple[Principle, ...], ...], history: bool, move37: Move37, tmp_path: Path
) -> None:
    with Archive.open(tmp_path / "home") as archive:
        campaign = archive.begin_campaign(Brief()).id
        for revision in revisions:
            principles.keep(archive, campaign, revision)
    said = move37("--home", str(tmp_path / "home"), "principles").out
    assert "told apart from zero" in said and "move37 insight" in said and ("--history" in said) is history

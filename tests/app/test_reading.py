"""list and show: the JSON that others rely on, and a screen that a person can read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from move37.lab.archive.store import Archive
from move37.lab.records import Role
from tests.app.campaigns import SHORTENED, SOURCE, a_whole_campaign
from tests.app.conftest import Move37
from tests.builders import a_brief, a_finished_experiment

ROW = {"id", "role", "status", "parents", "family", "rung", "metrics", "verdict"}


def listed(move37: Move37, home: Path, *more: str) -> Any:
    answer = move37("--home", str(home), "list", "--json", *more)
    assert answer.status == 0 and answer.err == ""
    return json.loads(answer.out)


def shown(move37: Move37, home: Path, *arguments: str) -> Any:
    answer = move37("--home", str(home), "show", *arguments, "--json")
    assert answer.status == 0
    return json.loads(answer.out)


def test_a_finished_campaign_lists_its_budget_and_its_baselines(move37: Move37, finished: Path) -> None:
    rows = listed(move37, finished)
    assert all(set(row) == ROW for row in rows)
    assert [row["role"] for row in rows].count("candidate") == 12
    assert [row["role"] for row in rows].count("baseline") == 7
    statuses = {"running", "failed", "rejected", "measured", "promoted", "confirmed"}
    assert {row["status"] for row in rows} <= statuses


def test_metrics_name_their_evidence(move37: Move37, finished: Path) -> None:
    rows = {row["id"]: row for row in listed(move37, finished)}
    fresh = rows["c1-001"]["metrics"]["bits_per_byte"]
    assert fresh["n"] == 5 and fresh["low"] < fresh["mean"] < fresh["high"]
    assert fresh["self_reported"] is False and fresh["witness"] is False
    screened = rows["c1-008"]["metrics"]["bits_per_byte"]
    assert screened["n"] == 1 and screened["low"] is None and screened["high"] is None
    assert set(screened) == {"mean", "low", "high", "n", "self_reported", "witness"}
    assert rows["c1-005"]["metrics"] == {}


def test_verdicts_are_whole_or_null(move37: Move37, finished: Path) -> None:
    rows = {row["id"]: row for row in listed(move37, finished)}
    assert set(rows["c1-001"]["verdict"]) == {"baseline", "effect", "low", "high", "tried", "text"}
    assert rows["c1-gla"]["verdict"] is None


def test_a_diverged_run_is_null_and_the_json_stays_strict(move37: Move37, finished: Path) -> None:
    answer = move37("--home", str(finished), "list", "--json")
    assert "NaN" not in answer.out and "Infinity" not in answer.out
    row = next(r for r in json.loads(answer.out) if r["id"] == "c1-007")
    assert row["status"] == "failed" and row["metrics"]["bits_per_byte"]["mean"] is None


def test_show_holds_each_stage_once_besides(move37: Move37, finished: Path) -> None:
    found = shown(move37, finished, "c1-001")
    assert set(found) >= ROW | {"stages"}
    keys = [(s["stage"], s["rung"], s["seed"]) for s in found["stages"]]
    assert len(keys) == len(set(keys)) and all(s["finished_at"] for s in found["stages"])
    assert found["candidate"]["source"].startswith('"""A mixer."""')
    assert found["gates"][0]["name"] == "import"


@pytest.mark.parametrize(("word", "ident"), [("1", "c1-001"), ("gla", "c1-gla"), ("c1-012", "c1-012")])
def test_show_takes_a_number_or_a_name(move37: Move37, finished: Path, word: str, ident: str) -> None:
    assert shown(move37, finished, word)["id"] == ident


def test_a_baseline_whose_name_has_a_space_is_found_by_the_end_of_its_id(move37: Move37, tmp_path: Path) -> None:
    with Archive.open(tmp_path) as archive:
        campaign = archive.begin_campaign(a_brief(task="program:packing"))
        ident = archive.begin_experiment(campaign.id, 0, Role.BASELINE, name="start program", family="program").id
    tail = ident.partition("-")[2]
    assert " " not in tail
    assert shown(move37, tmp_path, tail)["id"] == shown(move37, tmp_path, "start program")["id"] == ident


def test_the_conversation_is_a_list_of_lines(move37: Move37, finished: Path) -> None:
    lines = shown(move37, finished, "c1-001", "--chat")
    assert [set(line) for line in lines] == [{"source", "to", "text", "at"}] * 3
    assert [line["source"] for line in lines] == ["Researcher", "person", "Critic"]


def test_the_source_alone_is_a_file_that_runs(move37: Move37, finished: Path) -> None:
    answer = move37("--home", str(finished), "show", "gla", "--source")
    assert answer.out == SOURCE.replace("8.0", "4.0")


def test_what_has_no_code_says_so(move37: Move37, finished: Path) -> None:
    answer = move37("--home", str(finished), "show", "4", "--source")
    assert answer.status == 2 and "has no code" in answer.err


def test_an_unknown_experiment_is_wrong_use(move37: Move37, finished: Path) -> None:
    answer = move37("--home", str(finished), "show", "c9-001")
    assert answer.status == 2 and "move37 list" in answer.err


def test_the_latest_campaign_is_listed_unless_another_is_asked_for(move37: Move37, tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = a_whole_campaign(home)
    with Archive.open(home) as archive:
        second = archive.begin_campaign(first.brief)
        a_finished_experiment(archive, second)
    assert [row["id"] for row in listed(move37, home)] == ["c2-001"]
    assert len(listed(move37, home, "--campaign", "1")) == 19
    assert len(listed(move37, home, "--all")) == 20
    assert move37("--home", str(home), "list", "--campaign", "9").status == 2


def test_the_table_says_what_its_numbers_may_say(move37: Move37, finished: Path) -> None:
    answer = move37("--home", str(finished), "list")
    assert "5 fresh seeds" in answer.out and "screened on one seed" in answer.out
    assert all(sentence in answer.out for sentence in SHORTENED)
    assert "No row is a discovery" in answer.out
    order = [answer.out.index(f"\n{ident}") for ident in ("c1-001", "c1-gla", "c1-003", "c1-008", "c1-005")]
    assert order == sorted(order)


@pytest.mark.parametrize("command", ["list", "show c1-001", "show c1-004", "show c1-005", "show c1-001 --chat"])
def test_foreign_text_commands_no_terminal(move37: Move37, hostile: Path, command: str) -> None:
    answer = move37("--home", str(hostile), *command.split())
    assert answer.status == 0
    assert not set(answer.out) & {"\x1b", "\x07", "\u202e"}
    assert "</script>" in answer.out.replace("\n", "")
    assert "\u241b" in answer.out or command == "list"  # where names are cut, the sequence is behind the cut


def test_a_damaged_archive_is_named_and_kept(move37: Move37, tmp_path: Path) -> None:
    home = tmp_path / "home"
    a_whole_campaign(home)
    for name in ("archive.sqlite-wal", "archive.sqlite-shm"):
        (home / name).unlink(missing_ok=True)
    (home / "archive.sqlite").write_bytes(b"SQLite format 3\x00" + b"\xff" * 8_000)
    answer = move37("--home", str(home), "list")
    assert answer.status == 3 and answer.err.count("\n") == 1
    assert list(home.glob("*.damaged-*"))

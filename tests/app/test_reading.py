"""list and show: the JSON that others rely on, and a screen that a person can read."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from rich.console import Console

from move37.app.fitting import table
from move37.app.reading import as_csv, completions, pick_campaign, reading
from move37.app.tables import campaign_table
from move37.app.views.campaign import metric_of
from move37.app.views.evidence import ladder_signs
from move37.app.views.experiment import measurements_table
from move37.app.views.leaderboard import board_of
from move37.app.views.rows import comparison_rows, gate_rows
from move37.app.views.words import value_text
from move37.lab.archive.codec import encode
from move37.lab.archive.store import Archive
from move37.lab.records import BITS_PER_BYTE, Claim, Comparison, ExperimentStatus, Metric, Role
from tests.app.campaigns import SHORTENED, SOURCE, a_whole_campaign
from tests.app.conftest import Move37
from tests.builders import a_brief, a_finished_experiment, a_measurement

ROW = {"id", "name", "campaign", "role", "status", "reason", "parents", "family", "rung", "steps", "text", "fresh"}
ROW |= {"metrics", "verdict"}
METRIC = {"mean", "low", "high", "n", "self_reported", "own_backward", "witness", "steps", "text", "fresh"}


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
    assert set(screened) == METRIC
    assert (fresh["steps"], fresh["fresh"], screened["steps"], screened["fresh"]) == (500, True, 100, False)
    assert (rows["c1-001"]["steps"], rows["c1-001"]["fresh"], rows["c1-005"]["steps"]) == (500, True, None)
    assert "output 3 moved" in rows["c1-005"]["reason"] and rows["c1-001"]["name"] == "gla_two_paths"
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


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_neither_ids_nor_evidence_are_cut_where_names_are_long_and_evidence_differs(tmp_path: Path, width: int) -> None:
    """At 80 columns rows once said "screened on", and "c1-ma…" cannot be typed."""
    with Archive.open(tmp_path) as archive:
        campaign = archive.begin_campaign(a_brief())
        for number in range(1, 5):
            ident = archive.begin_experiment(campaign.id, number, Role.CANDIDATE, name="kda_with_" * 6).id
            m = a_measurement(value=2.5 + number / 100, steps=500, self_reported=number == 2)
            more = [replace(m, seed=1, value=2.6)] if number == 3 else []
            archive.finish_stage(
                ident, "lm@500", {"measurements": [m, *more]}, rung=2, status=ExperimentStatus.MEASURED
            )
        screen = Console(file=io.StringIO(), width=width)
        screen.print(campaign_table(campaign, archive.experiments(campaign.id)))
    out = screen.file.getvalue()  # type: ignore[attr-defined]
    flat = " ".join(out.split())
    for words in ("screened on one seed, self-reported", "screened on 2 seeds"):
        assert words in flat
    assert all(f"c1-00{number} kda_with_" in flat for number in range(1, 5))
    assert all(len(line) <= width for line in out.splitlines())


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_no_number_is_ever_cut_whatever_the_width(finished: Path, width: int) -> None:
    with reading(finished) as archive:
        campaign = pick_campaign(archive)
        found = campaign_table(campaign, archive.experiments(campaign.id))
        groups = board_of(archive.experiments(campaign.id), metric_of(campaign)).compact.groups
    screen = Console(file=io.StringIO(), width=width)
    screen.print(found)
    out = screen.file.getvalue()  # type: ignore[attr-defined]
    flat = " ".join(out.split())
    for group in groups:
        assert f"{group.rests_on}, " in flat  # said once, in the heading
        for place in group.places:
            assert " ".join(part for part in value_text(place.summary, group.scale) if part) in flat
            assert place.experiment.id in out and ladder_signs(place.experiment, BITS_PER_BYTE) in out
    assert "+0.0110 [-0.0120, +0.0340] of 12 tried" in flat
    assert all(len(line) <= width for line in out.splitlines())


def test_values_that_do_not_compare_stand_in_groups_of_their_own(move37: Move37, finished: Path) -> None:
    out = move37("--home", str(finished), "list").out
    fresh, screened = "after 500 steps, 5 fresh seeds, deciding text", "after 500 steps, screened"
    headings = [fresh, screened, "after 100 steps, screened"]
    places = [out.index(h) for h in headings]
    assert places == sorted(places)
    assert out[places[0] : places[1]].count("c1-") == 2  # those with fresh seeds alone


def test_a_killed_campaign_does_not_say_that_it_runs(move37: Move37, tmp_path: Path) -> None:
    a_whole_campaign(tmp_path, finished=False)
    with Archive.open(tmp_path) as archive:
        archive.begin_experiment(1, 99, Role.CANDIDATE)
        archive.update_campaign(1, status="running")  # and the process is gone
    out = move37("--home", str(tmp_path), "list").out
    assert "Campaign 1 (stopped)" in out and "c1-099  not finished" in out and "running" not in out
    assert "stopped" in move37("--home", str(tmp_path), "report", "--markdown").out.splitlines()[2]
    with Archive.open(tmp_path) as archive:
        archive.update_campaign(1, status="running")
        assert "Campaign 1 (running)" in move37("--home", str(tmp_path), "list").out


def test_a_tiny_score_can_be_read(move37: Move37, tmp_path: Path) -> None:
    with Archive.open(tmp_path) as archive:
        campaign = archive.begin_campaign(a_brief(task="program:kissing", budget=1))
        for number, value in ((1, 1.661e-06), (2, 1.702e-06)):
            m = a_measurement(metric="combined_score", value=value, rung=1, steps=0, calibrated=False)
            ident = archive.begin_experiment(campaign.id, number, Role.CANDIDATE, name=f"one{number}").id
            archive.finish_stage(ident, "score", {"measurements": (m,)}, status=ExperimentStatus.MEASURED)
    out = move37("--home", str(tmp_path), "list").out
    assert "1.6610e-06" in out and "1.7020e-06" in out


def test_the_direction_comes_from_the_task_s_record(move37: Move37, tmp_path: Path) -> None:
    """A third task, of which no presenter knows."""
    metric = Metric(name="speedup", unit="times", higher_is_better=True)
    with Archive.open(tmp_path) as archive:
        facts = {"metric": encode(metric), "caveat": "Speed on this machine alone."}
        campaign = archive.begin_campaign(a_brief(task="compilers", budget=2), facts)
        for number, value in ((1, 1.5), (2, 1.9)):
            m = a_measurement(metric="speedup", value=value, calibrated=False)
            ident = archive.begin_experiment(campaign.id, number, Role.CANDIDATE, name=f"one{number}").id
            archive.finish_stage(ident, "run", {"measurements": (m,)}, status=ExperimentStatus.MEASURED)
    out = move37("--home", str(tmp_path), "list").out
    assert out.index("c1-002") < out.index("c1-001") and "times" in out and "Speed on this machine alone." in out


def test_the_leaderboard_and_the_runs_are_there_as_csv(move37: Move37, finished: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(move37("--home", str(finished), "list", "--csv").out)))
    assert rows[0]["group"] == "after 500 steps, fresh seeds, deciding text" and rows[0]["rank"] == "1"
    assert {r["steps"] for r in rows} == {"100", "200", "500"}
    runs = list(csv.DictReader(io.StringIO(move37("--home", str(finished), "show", "1", "--csv").out)))
    assert len(runs) == 9 and {"metric", "value", "seed", "steps"} <= set(runs[0])


@pytest.mark.parametrize("name", ["=cmd()", "+1", "-1", "@sum", "\t=1", "\r=1"])
def test_no_text_of_a_csv_is_a_formula(name: str) -> None:
    """A name that a model gave would have been reckoned by whoever opens the file in a spreadsheet."""
    (row,) = csv.DictReader(io.StringIO(as_csv([{"name": name, "mean": -0.5}]), newline=""))
    assert row["name"][0] not in "=+-@\t\r" and row["name"].endswith(name.strip()) and row["mean"] == "-0.5"


def test_gates_and_what_claims_rest_on_are_rows(finished: Path) -> None:
    with Archive.open(finished, readonly=True) as archive:
        experiments = archive.experiments(1)
    gates = gate_rows(experiments)
    assert {row["id"] for row in gates} == {e.id for e in experiments if e.gates}
    asked = Comparison(
        question="baseline", rival="c1-gla", name="gla", effect=0.05, low=0.03, high=0.07, confidence=0.97, seeds=5
    )
    claim = Claim(candidate="c1-001", part="a floor", comparisons=(asked,), confirmation=1)
    (row,) = comparison_rows([replace(experiments[-1], claim=claim)])
    assert row["of"] == "claim" and row["holds"] and row["effect"] == 0.05


def test_the_difference_is_taken_against_what_it_was_made_from(move37: Move37, finished: Path) -> None:
    out = move37("--home", str(finished), "show", "5", "--diff").out
    assert out.startswith("--- c1-001") and "+        return" in out
    assert move37("--home", str(finished), "show", "gla", "--diff").status == 2


def test_ids_are_completed(finished: Path, move37: Move37, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOVE37_HOME", str(finished))

    class Context:
        def find_root(self) -> Context:
            return self

        params: ClassVar[dict[str, Any]] = {"home": None}

    assert completions(Context(), "c1-01") == ["c1-010", "c1-011", "c1-012"]  # type: ignore[arg-type]


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


@pytest.mark.parametrize("width", [30, 40, 60, 80, 120])
def test_numbers_of_a_table_are_whole_at_any_width_and_named_where_it_does_not_fit(width: int) -> None:
    runs = [a_measurement(value=2.479 + n, steps=500, seed=n, train_seconds=14.9, tokens_seen=204_800) for n in (0, 1)]
    found = measurements_table(runs)
    screen = Console(width=width, file=io.StringIO(), force_terminal=False)
    with screen.capture() as captured:
        screen.print(table(found))
    shown = captured.get()
    for row in found.rows:
        for column, cell in zip(found.columns, row, strict=True):
            assert cell.text in shown or not column.numeric, (cell.text, shown)
    assert "…" not in shown and ("value 2.479" in shown) == (width < 80)

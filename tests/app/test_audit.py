"""`move37 audit`: outputs, exit statuses, and wrong use in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from move37.app.commands import audit as judging
from move37.lab.audit.run import Audited
from tests.app.conftest import Move37
from tests.lab.audit.programs import OWN, UNTESTABLE


def test_an_archive_is_judged_and_written_in_every_form(tmp_path: Path, move37: Move37) -> None:
    archive = tmp_path / "archive.json"
    archive.write_text(json.dumps([{"name": "own", "program": OWN}, {"name": "syntax", "program": "class X(:"}]))
    outputs = [("--json", "a.json"), ("--markdown", "a.md"), ("--html", "a.html"), ("--keep", "judged")]
    flags = [part for flag, name in outputs for part in (flag, str(tmp_path / name))]
    answer = move37("audit", str(archive), "--sandbox", "process", *flags)
    assert answer.status == 0 and "2 programs, 1 tested" in answer.out
    record = json.loads((tmp_path / "a.json").read_text())
    assert [p["tested"] for p in record["programs"]] == [True, False]
    assert "# Audit of archive.json" in (tmp_path / "a.md").read_text()
    assert (tmp_path / "a.html").read_text().startswith("<!doctype html>")
    assert [p.name for p in (tmp_path / "judged").iterdir()] == ["001-own.py"]


def test_json_on_stdout_is_all_there_is(tmp_path: Path, move37: Move37) -> None:
    (tmp_path / "x.py").write_text(UNTESTABLE["syntax"][0])
    answer = move37("audit", str(tmp_path / "x.py"), "--sandbox", "process", "--json", "-")
    assert json.loads(answer.out)["summary"] == {
        "programs": 1, "tested": 0, "clean": 0, "faulty": 0, "over_budget": 0, "by_gate": {},
    }  # fmt: skip


def test_a_log_is_audited(tmp_path: Path, move37: Move37) -> None:
    log = tmp_path / "results.tsv"
    log.write_text(
        "commit\tval_bpb\tstatus\tdescription\na\t1.0\tkeep\tbase\nb\t0.9\tkeep\tbig\nc\t0.8999\tkeep\tsmall\n"
    )
    answer = move37("audit", "--log", str(log), "--noise", "0.001", "--json", str(tmp_path / "out.json"))
    assert answer.status == 0 and "1 of 2 kept gains survive" in answer.out
    assert json.loads((tmp_path / "out.json").read_text())["survive"] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("nowhere",),
        ("--log", "nowhere.tsv"),
        ("--log", "x.tsv", "--noise", "-1"),
        ("x.json",),
        ("x.py", "--json", "no/such/folder/out.json"),
    ],
)
def test_wrong_use_is_one_line_with_status_2(tmp_path: Path, move37: Move37, arguments: tuple[str, ...]) -> None:
    (tmp_path / "x.tsv").write_text("status\tloss\nkeep\t1\n")
    (tmp_path / "x.json").write_text("[]")
    (tmp_path / "x.py").write_text(OWN)
    answer = move37("audit", *arguments)
    assert answer.status == 2 and answer.err.count("\n") == 1 and answer.out == ""


@pytest.mark.parametrize("flag", ["--json", "--markdown", "--html", "--keep"])
@pytest.mark.parametrize("place", ["file/out", "loop", "x" * 300, "/proc/out"])
def test_an_output_that_cannot_be_written_is_heard_of_before_anything_is_judged(
    tmp_path: Path, move37: Move37, monkeypatch: pytest.MonkeyPatch, flag: str, place: str
) -> None:
    monkeypatch.setattr(judging, "_audit", None)  # whoever got so far would end in a TypeError
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "x.py").write_text(OWN)
    answer = move37("audit", "x.py", "--sandbox", "process", flag, place)
    assert answer.status == 2 and answer.err.count("\n") == 1 and "cannot be written" in answer.err


def test_one_output_that_fails_at_the_end_leaves_the_others_and_the_table(
    tmp_path: Path, move37: Move37, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def while_the_folder_goes_away(*_: object) -> tuple[Audited, ...]:
        (tmp_path / "gone").rmdir()
        return ()

    monkeypatch.setattr(judging, "_audit", while_the_folder_goes_away)
    (tmp_path / "gone").mkdir()
    (tmp_path / "x.py").write_text(OWN)
    answer = move37("audit", "x.py", "--markdown", "gone/a.md", "--html", "a.html", "--json", "a.json")
    assert answer.status == 3 and "gone/a.md cannot be written" in answer.err and "0 programs" in answer.out
    assert json.loads((tmp_path / "a.json").read_text())["programs"] == [] and (tmp_path / "a.html").exists()
    assert not (tmp_path / "a.md").exists()

"""What was not there is said where the numbers stand: files of a corpus, locks of the system."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from move37.app.commands.check import as_record as check_record
from move37.app.commands.measure import as_record as measure_record
from move37.app.measuring import MeasuredMixer
from move37.app.report import markdown_of
from move37.app.views.campaign import view_of
from move37.app.views.missing import left_out_text, locks_text, missing_notes
from move37.lab.archive.store import Archive
from move37.lab.judging.checked import Checked
from move37.lab.records import StageRecord
from tests.app.campaigns import a_whole_campaign


def test_nothing_missing_is_not_mentioned() -> None:
    assert left_out_text(()) == "" and locks_text(0) == ""
    assert set(check_record(Checked(results=()))) == {"passed", "gates"}
    assert "locks_missing" not in measure_record(MeasuredMixer(passed=True))


def test_what_is_missing_stands_in_the_json_of_check_and_measure() -> None:
    assert check_record(Checked(results=(), facts={"locks_missing": 2.0}))["locks_missing"] == 2
    told = measure_record(MeasuredMixer(passed=True, left_out=("a.bin: it is not text",), locks_missing=1))
    assert told["corpus_left_out"] == ["a.bin: it is not text"] and told["locks_missing"] == 1


def test_the_report_names_files_left_out_and_missing_locks(tmp_path: Path) -> None:
    a_whole_campaign(tmp_path)
    with Archive.open(tmp_path) as archive:
        archive.update_campaign(1, corpus_left_out=[f"f{n}.bin: it is not text" for n in range(5)])
        view = view_of(archive, archive.campaign(1))
        assert "5 files of the corpus left out: f0.bin: it is not text" in markdown_of(view)
        assert "and 2 more" in markdown_of(view) and "missing on this system" not in markdown_of(view)
        stage = StageRecord(stage="gates", rung=0, seed=0, finished_at="", payload={"facts": {"locks_missing": 1.0}})
        locked = replace(view.experiments[0], stages=(stage,))
        assert "Of 1 experiment: 1 lock missing" in missing_notes(view.campaign, (locked,))[-1]

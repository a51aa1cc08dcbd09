"""The archive keeps everything once, moves forward only, and has one writer."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.lab.archive import connection
from move37.lab.archive.codec import decode, encode
from move37.lab.archive.live import LiveReader
from move37.lab.archive.message import Message, now
from move37.lab.archive.store import FILE, Archive
from move37.lab.errors import ArchiveBusy, ArchiveCorrupt, ArchiveError, UnknownExperiment
from move37.lab.records import Experiment, ExperimentStatus, Measurement, Role, Stage
from tests.builders import a_baseline, a_finished_experiment, a_home, a_measurement, an_analysis


def test_an_experiment_comes_back_as_it_was_stored(tmp_path: Path) -> None:
    archive, campaign = a_home(tmp_path)
    stored = a_finished_experiment(archive, campaign, value=2.5)
    archive.close()
    with Archive.open(tmp_path, readonly=True) as again:
        assert again.experiment(stored.id) == stored
        assert stored.measurements[0].value == 2.5 and stored.analysis == an_analysis()
        assert [s.stage for s in stored.stages][:3] == ["hypothesis", "candidate", "gates"]


def test_half_a_surrogate_costs_a_letter_and_not_the_campaign(tmp_path: Path) -> None:
    """In the words of a candidate's exception, of a model or of a person."""
    archive, campaign = a_home(tmp_path)
    ident = archive.begin_experiment(campaign.id, 1, Role.CANDIDATE).id
    archive.finish_stage(ident, Stage.GATES, {"words": "it said \ud83d"}, reason="gate shape: \udcff", name="a\ud83d")
    said = Message(source="Ada\udcff", to="Critic", text="no \ud83d", experiment=ident, stage="gates")
    archive.say(campaign.id, said)
    archive.update_campaign(campaign.id, note="\ud83d")
    found = archive.experiment(ident)
    assert (found.reason, found.name) == ("gate shape: ?", "a?")
    assert archive.stage(ident, Stage.GATES) == {"words": "it said ?"}
    assert [(m.source, m.text) for m in archive.lines(ident)] == [("Ada?", "no ?")]


def test_a_stage_is_stored_at_most_once(tmp_path: Path) -> None:
    archive, campaign = a_home(tmp_path)
    ident = archive.begin_experiment(campaign.id, 1, Role.CANDIDATE).id
    archive.finish_stage(ident, Stage.HYPOTHESIS, {"n": 1})
    archive.finish_stage(ident, Stage.HYPOTHESIS, {"n": 2})
    assert archive.stage(ident, Stage.HYPOTHESIS) == {"n": 1}


def test_a_reader_sees_what_another_process_wrote_since_its_last_look(tmp_path: Path) -> None:
    archive, campaign = a_home(tmp_path)
    ident = archive.begin_experiment(campaign.id, 1, Role.CANDIDATE).id
    with Archive.open(tmp_path, readonly=True) as reader:
        assert reader.experiment(ident).measurements == ()
        archive.finish_stage(ident, "screen", {"measurements": [a_measurement(value=2.25)]}, name="later")
        (seen,) = reader.experiments()
        assert seen.measurements[0].value == 2.25 and seen.name == "later"
        assert reader.experiment(ident) is seen  # nothing changed: not decoded again
    archive.close()


@given(st.lists(st.sampled_from(list(ExperimentStatus)), min_size=1, max_size=8))
def test_a_status_never_goes_back(statuses: list[ExperimentStatus]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        archive, campaign = a_home(Path(folder))
        ident = archive.begin_experiment(campaign.id, 1, Role.CANDIDATE).id
        seen = [ExperimentStatus.RUNNING]
        for n, status in enumerate(statuses):
            archive.finish_stage(ident, f"s{n}", {}, status=status)
            seen.append(archive.experiment(ident).status)
        archive.close()
    left_running = False
    for status in seen:
        left_running |= status is not ExperimentStatus.RUNNING
        assert not (left_running and status is ExperimentStatus.RUNNING)


def test_a_second_writer_is_told_who_holds_the_home(tmp_path: Path) -> None:
    archive, _ = a_home(tmp_path)
    with pytest.raises(ArchiveBusy, match=str(os.getpid())):
        Archive.open(tmp_path)
    Archive.open(tmp_path, readonly=True).close()
    archive.close()
    Archive.open(tmp_path).close()


def test_the_home_is_free_again_after_kill_9(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from move37.lab.archive.store import Archive\n"
        "from move37.lab.records import *\n"
        "a = Archive.open(Path(sys.argv[1])); c = a.begin_campaign(Brief()); print('ready', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert child.stdout and child.stdout.readline() == b"ready\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    with Archive.open(tmp_path) as archive:
        assert len(archive.campaigns()) == 1


def test_a_damaged_archive_is_copied_and_named(tmp_path: Path) -> None:
    archive, campaign = a_home(tmp_path)
    a_finished_experiment(archive, campaign)
    archive.close()
    file = tmp_path / FILE
    damaged = bytearray(file.read_bytes())
    damaged[4096:] = os.urandom(len(damaged) - 4096)
    file.write_bytes(damaged)
    with pytest.raises(ArchiveCorrupt, match="damaged-"):
        Archive.open(tmp_path)
    (copy,) = (p for p in tmp_path.glob(f"{FILE}.damaged-*") if not p.name.endswith("-wal"))
    assert copy.read_bytes() == bytes(damaged)
    assert file.read_bytes() == bytes(damaged)


def test_garbage_in_place_of_an_archive_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not a database at all" * 500)
    with pytest.raises(ArchiveCorrupt):
        Archive.open(tmp_path)
    with pytest.raises(ArchiveCorrupt):
        Archive.open(tmp_path, readonly=True).experiments()


def test_an_archive_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    archive, _ = a_home(tmp_path)
    archive._db.execute("PRAGMA user_version = 999")
    archive.close()
    with pytest.raises(ArchiveError, match="newer"):
        Archive.open(tmp_path)


def test_a_line_said_early_belongs_to_the_next_candidate(tmp_path: Path) -> None:
    archive, campaign = a_home(tmp_path)
    archive.say(campaign.id, Message(source="person", to="all", text="try decays", at=now(), user=True))
    a_baseline(archive, campaign)
    ident = archive.begin_experiment(campaign.id, 1, Role.CANDIDATE).id
    assert [line.text for line in archive.lines(ident)] == ["try decays"]


def test_a_repeated_conversation_forgets_the_agents_and_keeps_the_person(tmp_path: Path) -> None:
    archive, campaign = a_home(tmp_path)
    ident = archive.begin_experiment(campaign.id, 1, Role.CANDIDATE).id
    for source, person in (("Researcher", False), ("person", True)):
        archive.say(
            campaign.id,
            Message(source=source, to="all", text="x", at=now(), user=person, experiment=ident, stage="hypothesis"),
        )
    archive.begin_conversation(ident, "hypothesis")
    assert [line.source for line in archive.lines(ident)] == ["person"]


def test_an_unknown_experiment_is_a_typed_error(tmp_path: Path) -> None:
    archive, _ = a_home(tmp_path)
    with pytest.raises(UnknownExperiment, match="move37 list"):
        archive.experiment("c9-001")


def test_measurements_and_gates_are_views_over_the_stages(tmp_path: Path) -> None:
    archive, campaign = a_home(tmp_path)
    a_finished_experiment(archive, campaign, value=2.25)
    assert archive.read("SELECT value FROM measurements")[0][0] == 2.25
    assert archive.read("SELECT name, passed FROM gates")[0][:] == ("shape", 1)


def test_a_diverged_loss_survives_the_round_trip() -> None:
    again = decode(Measurement, encode(a_measurement(value=math.inf, diverged=True)))
    assert again.value == math.inf and again.diverged


def test_an_experiment_record_survives_the_round_trip(tmp_path: Path) -> None:
    archive, campaign = a_home(tmp_path)
    stored = a_finished_experiment(archive, campaign)
    assert decode(Experiment, encode(stored)) == stored


def test_reading_an_archive_needs_no_torch() -> None:
    code = "import sys, move37.lab.archive.store; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_archive_on_a_read_only_file_system_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite wants to lay two files beside it, and cannot: `list` and `show` of a home on such a disk were refused."""
    a_home(tmp_path)[0].close()
    there = sorted(path.name for path in tmp_path.iterdir())
    monkeypatch.setattr(connection, "is_read_only", lambda _: True)
    with Archive.open(tmp_path, readonly=True) as reader, LiveReader(tmp_path) as live:
        assert len(reader.campaigns()) == 1 and live.state(1) == {}
        assert sorted(path.name for path in tmp_path.iterdir()) == there

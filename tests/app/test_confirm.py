"""`move37 confirm`, `reproduce` and `baseline`: what is refused, in one line and before anything runs."""

from __future__ import annotations

from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import cast

import pytest

from move37.agents.claim_ground import ClaimWatch
from move37.agents.search.codegen import emit
from move37.agents.search.grammar import BASELINES
from move37.agents.search.operators import put
from move37.app.confirmation import fresh_seeds, keep_lesson, told_on_stderr
from move37.app.settings import Settings
from move37.lab.archive.store import Archive
from move37.lab.claims import BASELINE, settled
from move37.lab.confirming import ConfirmationPlan
from move37.lab.errors import BadCorpus
from move37.lab.records import BITS_PER_BYTE, Comparison, ExperimentStatus, Role, Stage
from move37.lab.scale import PAPER, SMALL, Scale, as_fact
from move37.lab.tasks.task import QuestionedTask
from move37.lab.training.corpus import check_held_out, open_corpus, open_held_out
from move37.memory.recall import open_memory
from tests.app.campaigns import a_whole_campaign
from tests.app.conftest import Move37
from tests.builders import a_baseline, a_brief, a_candidate, a_hypothesis, an_analysis

CLAIM = settled(
    "c1-001", "a skip",
    [
        Comparison(
            question=BASELINE, rival="c1-gla", name="gla", effect=0.1, low=0.05, high=0.15, confidence=0.97, seeds=5
        )
    ],
    confirmation=1, missing={}, core_seconds=1.0,
)  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    a_whole_campaign(tmp_path / "home")
    return tmp_path / "home"


def an_id(home: Path, *statuses: ExperimentStatus) -> str:
    with Archive.open(home, readonly=True) as archive:
        return next(e.id for e in archive.experiments() if e.status in statuses and e.id[3:].isdigit())


@pytest.mark.parametrize("status", [ExperimentStatus.FAILED, ExperimentStatus.REJECTED])
def test_what_failed_or_was_rejected_cannot_be_confirmed(home: Path, move37: Move37, status: ExperimentStatus) -> None:
    answer = move37("--home", str(home), "confirm", an_id(home, status))
    assert answer.status == 2 and "nothing to confirm" in answer.err and answer.err.count("\n") == 1


def test_a_baseline_or_a_stranger_cannot_be_confirmed(home: Path, move37: Move37) -> None:
    for ident, word in (("gla", "is a baseline"), ("c9-001", "no experiment")):
        answer = move37("--home", str(home), "confirm", ident)
        assert answer.status == 2 and word in answer.err


@pytest.mark.parametrize("command", ["confirm", "reproduce", "paper", "show"])
def test_a_home_that_does_not_exist_is_told_and_not_made(tmp_path: Path, move37: Move37, command: str) -> None:
    answer = move37("--home", str(tmp_path / "mistyped"), command, "c1-001")
    assert answer.status == 2 and "no campaign has run in" in answer.err and answer.err.count("\n") == 1
    assert not (tmp_path / "mistyped").exists()


@pytest.mark.parametrize("scale", [SMALL, PAPER])
def test_at_a_scale_that_nobody_measured_a_confirmation_says_what_to_run(
    home: Path, move37: Move37, scale: Scale
) -> None:
    with Archive.open(home) as archive:
        archive.update_campaign(1, scale=as_fact(scale))
        ident = an_id(home, ExperimentStatus.MEASURED, ExperimentStatus.PROMOTED)
    answer = move37("--home", str(home), "confirm", ident, "--sandbox", "process")
    assert (
        answer.status == 2
        and f"`move37 calibrate --scale {scale.name}`" in answer.err
        and "Traceback" not in answer.err
    )


async def test_what_a_claim_taught_is_remembered_with_the_lesson(home: Path) -> None:
    ident = an_id(home, ExperimentStatus.MEASURED, ExperimentStatus.PROMOTED)
    said: list[str] = []
    watch = ClaimWatch(
        begins=lambda plan, runs: None, run=lambda name, seed, kept: None, answers=lambda c, m: None, notice=said.append
    )
    with Archive.open(home) as archive:
        archive.finish_stage(ident, "claim", {"claim": CLAIM})
        found = archive.experiment(ident)
        assert found.analysis is not None
        task = cast("QuestionedTask", SimpleNamespace(name="mixers", metric=BITS_PER_BYTE))
        await keep_lesson(Settings(home=home), archive, found, task, watch)
    memory = open_memory(home, read_only=True)
    try:
        recalled = await memory.recall("a skip", kinds=("analysis",), k=20, budget_tokens=20_000)
    finally:
        memory.close_now()
    (lesson,) = [r for r in recalled if r.key == ident]
    assert "Not a discovery yet" in str(lesson) and not said


@pytest.mark.parametrize("digest", ["of the same text", "of another text"])
async def test_a_lesson_is_kept_again_with_what_it_changed_in_an_earlier_campaign(tmp_path: Path, digest: str) -> None:
    with Archive.open(tmp_path) as archive:
        before = archive.begin_campaign(a_brief(), {"task_digest": digest})
        base = a_baseline(archive, before, "linear")
        now = archive.begin_campaign(a_brief(), {"task_digest": "of the same text"})
        ident = archive.begin_experiment(now.id, 1, Role.CANDIDATE).id
        hypothesis = a_hypothesis(base=base.id, name="skip", family="linear")
        archive.finish_stage(ident, Stage.HYPOTHESIS, {"hypothesis": hypothesis}, name="skip", family="linear")
        genome = put("residual_path", BASELINES["linear"], Random(0))
        assert genome is not None
        archive.finish_stage(ident, Stage.CANDIDATE, {"candidate": a_candidate(source=emit(genome, name="skip"))})
        archive.finish_stage(ident, Stage.ANALYSIS, {"analysis": an_analysis()})
        task = cast("QuestionedTask", SimpleNamespace(name="mixers", metric=BITS_PER_BYTE))
        await keep_lesson(Settings(home=tmp_path), archive, archive.experiment(ident), task, told_on_stderr())
    memory = open_memory(tmp_path, read_only=True)
    try:
        recalled = await memory.recall("a skip", kinds=("analysis",), k=20, budget_tokens=20_000)
    finally:
        memory.close_now()
    (lesson,) = [r for r in recalled if r.key == ident]
    assert ("residual_path" in lesson.gained) == (digest == "of the same text")


def test_a_second_confirmation_is_refused_and_spends_nothing(home: Path, move37: Move37) -> None:
    ident = an_id(home, ExperimentStatus.MEASURED, ExperimentStatus.PROMOTED)
    with Archive.open(home) as archive:
        archive.finish_stage(ident, "claim", {"claim": CLAIM})
    answer = move37("--home", str(home), "confirm", ident)
    assert answer.status == 2 and "was confirmed once (confirmation 1 of this home)" in answer.err
    with Archive.open(home, readonly=True) as archive:
        assert archive.stage(ident, "claim:begun") is None


def test_a_campaign_on_other_text_is_refused(home: Path, move37: Move37) -> None:
    with Archive.open(home) as archive:
        archive.update_campaign(1, task_digest="of another text")
    answer = move37("--home", str(home), "confirm", an_id(home, ExperimentStatus.MEASURED, ExperimentStatus.PROMOTED))
    assert answer.status == 2 and "changed since" in answer.err


def test_sealed_text_that_changed_is_refused_before_anything_runs(home: Path, move37: Move37) -> None:
    corpus = open_corpus(home / "cache")
    assert len(open_held_out(corpus)) > 10_000 and corpus.folder is not None
    (corpus.folder / "held_out.bin").write_bytes(b"x" * 100_000)
    with pytest.raises(BadCorpus, match="not what was sealed"):
        check_held_out(corpus)
    ident = an_id(home, ExperimentStatus.MEASURED, ExperimentStatus.PROMOTED)
    answer = move37("--home", str(home), "confirm", ident)
    assert answer.status == 2 and "not what was sealed" in answer.err
    with Archive.open(home, readonly=True) as archive:
        assert archive.stage(ident, "claim:begun") is None


def test_there_is_nothing_to_reproduce_without_a_claim(home: Path, move37: Move37) -> None:
    answer = move37("--home", str(home), "reproduce", an_id(home, ExperimentStatus.MEASURED, ExperimentStatus.PROMOTED))
    assert answer.status == 2 and "no claim to reproduce" in answer.err


def test_show_has_the_ladder_of_evidence(home: Path, move37: Move37) -> None:
    ident = an_id(home, ExperimentStatus.MEASURED, ExperimentStatus.PROMOTED)
    with Archive.open(home) as archive:
        archive.finish_stage(ident, "claim", {"claim": CLAIM})
    answer = move37("--home", str(home), "show", ident)
    assert answer.status == 0 and "Evidence" in answer.out and "Not a discovery yet" in answer.out


def test_an_unknown_family_is_wrong_use(move37: Move37) -> None:
    answer = move37("baseline", "perceptron")
    assert answer.status == 2 and "choose one of softmax" in answer.err


def test_on_a_pipe_every_run_has_its_number(capsys: pytest.CaptureFixture[str]) -> None:
    watch = told_on_stderr()
    watch.run("gla", 1, False)
    watch.begins(ConfirmationPlan(confirmation=2, seeds=(1, 2), part="nothing"), 4)
    watch.run("gla", 1, True)
    watch.run("mamba2", 2, False)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "  run 1: gla, seed 1: training"
    assert lines[2:] == [
        "  run 1 of 4 at most: gla, seed 1: kept from earlier",
        "  run 2 of 4 at most: mamba2, seed 2: training",
    ]


def test_a_repetition_that_was_cut_short_goes_on_with_its_seeds_and_the_next_one_has_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun, watch = tmp_path / "repetitions" / "c1-001", told_on_stderr()
    with pytest.raises(KeyboardInterrupt), fresh_seeds(begun, watch) as first:
        raise KeyboardInterrupt
    assert capsys.readouterr().err == ""
    with fresh_seeds(begun, watch) as again:
        assert again == first
    assert "its runs are kept" in capsys.readouterr().err
    begun.write_text("not a num")  # a power cut
    with fresh_seeds(begun, watch) as other:
        assert other != first
    assert not begun.exists()

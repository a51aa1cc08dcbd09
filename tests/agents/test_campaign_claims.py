"""A campaign's last stage: who beat its rivals is asked the rest by itself, within the budget, or later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from move37.agents import campaign_claims, claim_rivals, discovery_claim, execution, ledger, tuning
from move37.agents.approval import Approvals
from move37.agents.blocks import ledger_line
from move37.agents.claim_ground import ClaimGround, ConfirmationRequest
from move37.agents.claim_rivals import ClaimRivals
from move37.agents.clock import Clock
from move37.agents.context import CampaignContext
from move37.agents.events import ApprovalRequested, Event, Notice, Spoke, TrainingUpdated
from move37.agents.inbox import Inbox
from move37.agents.open_experiment import open_experiment
from move37.agents.results import VerdictResult
from move37.lab.archive.openings import openings
from move37.lab.archive.store import Archive
from move37.lab.claims import BASELINE, LONGER, QUESTIONS, asking_seconds, unasked
from move37.lab.confirming import Contender
from move37.lab.records import (
    BITS_PER_BYTE,
    Brief,
    Candidate,
    ExperimentStatus,
    Metric,
    Role,
    Stage,
)
from move37.lab.tasks import mixers_schedule
from move37.lab.tasks.mixers import MixersTask
from move37.lab.tasks.task import Measured
from move37.sandbox.factory import open_sandbox
from tests.agents.claims import STEPS, Reckoned, a_home, a_task
from tests.agents.contexts import Remembered, a_context
from tests.builders import a_candidate, a_measurement
from tests.shortened import default_scale_of


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(mixers_schedule, "SMALLEST_EFFECT", 10.0)  # at eight steps nothing is to be resolved
    with default_scale_of(STEPS):
        yield


@pytest.fixture(autouse=True)
def a_second_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(task: Reckoned, cache: Path, path: Path | None, missing: dict[str, str]) -> Reckoned:
        return a_task(cache.parent)

    monkeypatch.setattr(claim_rivals, "second_task", opened)


def a_campaign(home: Path, *, task: Any = None, archive: Archive | None = None, **changes: Any) -> Any:
    archive = archive or Archive.open(home)
    if not archive.campaigns():
        a_home(archive)
    task = task or a_task(home)
    schedule = replace(task.schedule("full"), confirm_seeds=2)
    return a_context(home, archive=archive, task=task, schedule=schedule, memory=Remembered(), **changes)


async def the_stage(context: CampaignContext, limit: str = "") -> None:
    await campaign_claims.confirm_standing(context, lambda e: open_experiment(context, e, lambda: limit), lambda: limit)
    campaign_claims.tell_open(context, "finished")


def said(events: Sequence[Event]) -> list[str]:
    return [e.text for e in events if isinstance(e, Spoke) and e.source == "Lab"]


async def test_a_full_campaign_asks_every_question_and_only_then_calls_it_confirmed(tmp_path: Path) -> None:
    context, events = a_campaign(tmp_path)
    await the_stage(context)
    found = context.archive.experiment("c1-001")
    assert found.claim is not None and found.claim.stands and found.status is ExperimentStatus.CONFIRMED
    assert {c.question for c in found.claim.comparisons} == set(QUESTIONS) and found.claim.confirmation == 2
    told = said(events)
    assert told[1].startswith("Confirmation 2 of this home") and "A discovery at this scale" in told[-1]
    assert [line.text for line in context.archive.lines("c1-001") if line.stage == "claim"] == told
    assert len(openings(context.archive)) == 1
    assert [lesson.status for lesson in context.memory.lessons] == ["confirmed"]
    before = len(context.archive.lines("c1-001"))
    await the_stage(context)  # a resumed campaign walks the same lines
    assert len(context.archive.lines("c1-001")) == before and len(context.memory.lessons) == 1


async def test_the_metric_of_another_task_is_asked_of_the_task(tmp_path: Path) -> None:
    metric = Metric(name="nats_per_word", unit="nats/word", higher_is_better=False)
    archive = Archive.open(tmp_path)
    a_home(archive, metric=metric)
    context, events = a_campaign(tmp_path, task=a_task(tmp_path, metric=metric), archive=archive)
    await the_stage(context)
    found = archive.experiment("c1-001")
    assert found.claim is not None and found.claim.stands
    assert "nats/word" in said(events)[-1] and "bits" not in " ".join(said(events))


async def test_a_refuted_candidate_keeps_its_status_and_spends_nothing_on_further_questions(tmp_path: Path) -> None:
    context, events = a_campaign(tmp_path, task=a_task(tmp_path, gain=-0.3))
    await the_stage(context)
    found = context.archive.experiment("c1-001")
    assert found.claim is not None and not found.claim.stands and found.status is ExperimentStatus.PROMOTED
    assert {c.question for c in found.claim.comparisons} == {BASELINE}
    assert not openings(context.archive) and "Not a discovery" in said(events)[-1]


async def test_what_a_claim_taught_reaches_memory_and_whoever_proposes_next(tmp_path: Path) -> None:
    context, _ = a_campaign(tmp_path, task=a_task(tmp_path, gain=-0.3))
    await the_stage(context)
    (kept,) = context.memory.lessons
    assert kept.lesson.startswith(
        "Not a discovery: it loses where it was to be shown that it beats the two best baselines"
    )
    found = context.archive.experiment("c1-001")
    row = next(r for r in ledger.ledger(context.archive.experiments(), BITS_PER_BYTE) if r.experiment == found.id)
    assert row.claim == kept.lesson and f"Its claim: {row.claim}" in ledger_line(row)
    assert ledger.parent(found, [found], BITS_PER_BYTE).claim == row.claim


@pytest.mark.parametrize("brief", [Brief(preset="full", confirm=False), Brief(preset="full")])
async def test_preset_and_brief_say_whether_it_is_asked(tmp_path: Path, brief: Brief) -> None:
    archive = Archive.open(tmp_path)
    a_home(archive, brief=brief)
    context, events = a_campaign(tmp_path, archive=archive)
    if brief.confirm is None:
        quick = replace(context.schedule, claims=False)
        context = replace(context, schedule=quick)
    await the_stage(context)
    assert archive.experiment("c1-001").claim is None and not events
    assert [e.id for e in unasked(archive.experiments())] == ["c1-001"]


async def test_who_did_not_beat_both_rivals_is_not_asked(tmp_path: Path) -> None:
    archive = Archive.open(tmp_path)
    a_home(archive, low=-0.1)
    context, events = a_campaign(tmp_path, archive=archive)
    await the_stage(context)
    assert not said(events) and archive.stage("c1-001", discovery_claim.BEGUN) is None


async def test_without_time_for_all_of_it_nothing_is_begun_and_a_sentence_says_how_to_go_on(tmp_path: Path) -> None:
    archive = Archive.open(tmp_path)
    a_home(archive, cost=30.0)
    needed = sum(asking_seconds(q, seeds=2, run_seconds=30.0) for q in QUESTIONS) / 2
    context, events = a_campaign(tmp_path, archive=archive, clock=Clock(hard=needed - 5))
    await the_stage(context)
    assert archive.stage("c1-001", discovery_claim.BEGUN) is None
    (notice,) = [e.text for e in events if isinstance(e, Notice)]
    assert "`move37 confirm c1-001` asks for the rest" in notice and f"need about {needed:.0f} s" in notice


async def test_time_that_runs_out_between_questions_leaves_the_rest_and_no_run_is_trained_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, events = a_campaign(tmp_path)
    whole = campaign_claims._wall_seconds
    monkeypatch.setattr(campaign_claims, "_wall_seconds", lambda c, e, q: 1e9 if q == (LONGER,) else whole(c, e, q))
    await the_stage(replace(context, clock=Clock(hard=1e6)))
    archive = context.archive
    assert archive.experiment("c1-001").claim is None and archive.stage("c1-001", discovery_claim.BEGUN) is not None
    (notice,) = [e.text for e in events if isinstance(e, Notice)]
    assert "begun and is not finished" in notice and "trains nothing twice" in notice
    monkeypatch.setattr(campaign_claims, "_wall_seconds", whole)
    plan, trained = archive.stage("c1-001", discovery_claim.BEGUN), set[str]()
    task = a_task(tmp_path)
    honest = Reckoned.measure

    async def counted(self: Any, candidate: Candidate, **how: Any) -> Measured:
        trained.add(how["rung"].name)
        return await honest(self, candidate, **how)

    monkeypatch.setattr(Reckoned, "measure", counted)
    again, _ = a_campaign(tmp_path, archive=archive, task=task)
    await the_stage(again)
    claim = archive.experiment("c1-001").claim
    assert claim is not None and archive.stage("c1-001", discovery_claim.BEGUN) == plan
    assert trained == {f"lm@{4 * STEPS}"}, "only the question that waited is trained for"


async def test_a_person_who_vetoes_the_sealed_text_is_heard(tmp_path: Path) -> None:
    inbox, events = Inbox(), list[Event]()
    context, more = a_campaign(tmp_path, inbox=inbox)
    approvals = Approvals("promotions", inbox, events.append, lambda said: None)
    inbox.veto("not now", "c1-001")
    await the_stage(replace(context, approvals=approvals))
    assert context.archive.stage("c1-001", discovery_claim.BEGUN) is None
    assert any("not confirmed: not now" in e.text for e in more if isinstance(e, Notice))


@pytest.mark.parametrize("answered", [True, False])
async def test_a_veto_of_the_sealed_text_holds_in_the_next_session_and_silence_is_asked_again(
    tmp_path: Path, answered: bool
) -> None:
    archive, asked = Archive.open(tmp_path), list[str]()
    a_home(archive)
    for session in (1, 2):
        inbox, events = Inbox(), list[Event]()
        context, _ = a_campaign(tmp_path, archive=archive, inbox=inbox)
        if session == 1 and answered:
            inbox.veto("not now", "c1-001")
        approvals = Approvals("promotions", inbox, events.append, lambda said: None, timeout=0.01)
        # The session that nobody answers ends by its limit before anything is begun.
        limit = "" if answered or session == 2 else "the limit of tokens is reached"
        if limit:
            await campaign_claims._vetoed(replace(context, approvals=approvals), archive.experiment("c1-001"))
        await the_stage(replace(context, approvals=approvals), limit)
        asked += [e.experiment for e in events if isinstance(e, ApprovalRequested)]
    assert len(asked) == (1 if answered else 2)
    assert (archive.stage("c1-001", discovery_claim.BEGUN) is None) == answered
    assert bool(openings(archive)) != answered


def two_finalists(archive: Archive) -> tuple[str, ...]:
    """Two baselines and two candidates with fresh runs that nobody has judged yet."""
    campaign = archive.begin_campaign(Brief(budget=2, preset="full"))
    arms = [
        (Role.BASELINE, 0, "linear"),
        (Role.BASELINE, 1, "retnet"),
        (Role.CANDIDATE, 1, ""),
        (Role.CANDIDATE, 2, ""),
    ]
    found = []
    for place, (role, number, name) in enumerate(arms):
        ident = archive.begin_experiment(campaign.id, number, role, name=name).id
        archive.finish_stage(ident, Stage.CANDIDATE, {"candidate": a_candidate()})
        for seed in range(3):
            runs = (a_measurement(value=3.0 - place / 10 + seed**2 / 1000, seed=seed, fresh=seed > 0),)
            archive.finish_stage(
                ident, "lm", {"measurements": runs}, rung=2, seed=seed, status=ExperimentStatus.PROMOTED
            )
        found.append(ident)
    return tuple(found)


def some_rivals(ident: str) -> ClaimRivals:
    return ClaimRivals(
        candidate=Contender(id=ident, name=ident, candidate=a_candidate(), rate=0.01), baselines=(), families=(),
        family_why="", ablation=None, part="a skip", missing={}, trials=1, corpus="",
    )  # fmt: skip


async def test_in_whatever_order_verdicts_and_claims_come_each_spends_an_error_of_its_own(tmp_path: Path) -> None:
    task: Any = a_task(tmp_path)
    looks = [(ident, kind) for ident in ("c1-001", "c1-002") for kind in ("verdict", "claim")]
    for number, order in enumerate(permutations(looks)):
        with Archive.open(tmp_path / str(number)) as archive:
            rivals = two_finalists(archive)[:2]
            context, _ = a_campaign(tmp_path / str(number), archive=archive, task=task)
            ground = ClaimGround(
                archive=archive, task=task, cache=tmp_path, watch=campaign_claims._watch(context, "c1-001"),
                context=campaign_claims._measuring(context, task, "c1-001"),
            )  # fmt: skip
            spent = []
            for ident, kind in order:
                ctx, step = open_experiment(context, archive.experiment(ident), lambda: "")
                if kind == "verdict":
                    seeds = [m.seed for m in archive.experiment(ident).measurements]
                    judged = await step("verdict:fresh", VerdictResult, execution.judge_fresh, ctx, rivals, seeds, ())
                    assert judged.verdict is not None
                    spent.append(judged.verdict.confirmation)
                else:
                    known = some_rivals(ident)
                    plan = discovery_claim._planned(ground, archive.experiment(ident), known, ConfirmationRequest())
                    spent.append(plan.confirmation)
        assert spent == [1, 2, 3, 4], order


async def test_sealed_text_that_changed_ends_the_stage_with_a_sentence_and_no_plan(tmp_path: Path) -> None:
    task = a_task(tmp_path)
    assert task.corpus.folder is not None
    (task.corpus.folder / "held_out.bin").write_bytes(b"x" * 100_000)
    context, events = a_campaign(tmp_path, task=task)
    await the_stage(context)
    assert any("not what was sealed" in text for text in said(events))
    assert context.archive.stage("c1-001", discovery_claim.BEGUN) is None


@pytest.mark.slow
async def test_on_the_real_lab_a_standing_claim_is_settled_one_way_or_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "TRIALS", 3)
    task = MixersTask.open(cache=tmp_path / "cache")
    sandbox = await open_sandbox("process", trusted_source="model", workers=2)
    try:
        context, events = a_campaign(tmp_path, task=task, sandbox=sandbox)
        await the_stage(context)
    finally:
        await sandbox.close()
    found = context.archive.experiment("c1-001")
    assert found.claim is not None and found.claim.core_seconds > 0
    assert all(c.seeds == 2 and c.low is not None for c in found.claim.comparisons)
    assert (found.status is ExperimentStatus.CONFIRMED) == found.claim.stands
    assert ("A discovery at this scale" in said(events)[-1]) == found.claim.stands
    assert any(isinstance(e, TrainingUpdated) and e.progress.experiment == "c1-001" for e in events)

"""The campaign walks to its budget, keeps every attempt, hears the person, and resumes without repeating anything."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from move37.agents import campaign
from move37.agents.approval import Approvals
from move37.agents.budget import Budget
from move37.agents.clock import Clock
from move37.agents.errors import ModelReplyInvalid
from move37.agents.events import ApprovalRequested, GateChecked, Spoke
from move37.agents.inbox import Inbox
from move37.agents.limits import ConversationLimits
from move37.agents.replies import Prediction
from move37.lab.archive.store import Archive
from move37.lab.errors import BadTask
from move37.lab.records import Brief, Candidate, Experiment, ExperimentStatus, Role
from move37.lab.summary import summarise
from move37.lab.tasks.task import Measured
from move37.memory.errors import MemoryUnavailable
from tests.agents.contexts import PATIENCE, Arithmetic, Remembered, a_context, a_script, at_the_first_training
from tests.agents.scripted import a_fix, a_proposal, objection, offered, some_code


def candidates(archive: Archive) -> list[Experiment]:
    return [e for e in archive.experiments() if e.role is Role.CANDIDATE]


async def test_a_campaign_ends_with_exactly_its_budget_and_an_interval(tmp_path: Path) -> None:
    context, _ = a_context(tmp_path, budget=4)
    ending = await campaign.run(context)
    found = candidates(context.archive)
    assert ending.status == "finished" and context.archive.campaigns()[0].status == "finished"
    assert [e.id for e in found] == ["c1-001", "c1-002", "c1-003", "c1-004"]
    assert all(e.analysis is not None and e.verdict is not None for e in found)
    assert sum(e.status is ExperimentStatus.PROMOTED for e in found) == 2
    assert [e.verdict.low is not None for e in found if e.verdict].count(True) == 1
    assert all(len({(s.stage, s.rung, s.seed) for s in e.stages}) == len(e.stages) for e in found)


async def test_nothing_is_promoted_or_confirmed_where_the_schedule_refuses_and_the_reason_is_kept(
    tmp_path: Path,
) -> None:
    context, _ = a_context(tmp_path, budget=3)
    reason = "nobody measured the noise of this scale"
    context = replace(context, schedule=replace(context.schedule, refusal=reason))
    ending = await campaign.run(context)
    everything = context.archive.experiments()
    assert ending.status == "finished"
    assert not any(e.status is ExperimentStatus.PROMOTED for e in everything)
    assert not any(m.fresh for e in everything for m in e.measurements)
    told = [e for e in candidates(context.archive) if e.verdict is not None and reason in e.verdict.text]
    assert told, "who would have gone up says why it did not"


async def test_baselines_climb_as_far_as_candidates_and_the_best_two_get_the_same_fresh_seeds(tmp_path: Path) -> None:
    context, _ = a_context(tmp_path)
    await campaign.run(context)
    everything = context.archive.experiments()
    baselines = [e for e in everything if e.role is Role.BASELINE]
    assert len(baselines) == 2 and all({m.steps for m in b.measurements} >= {100, 200} for b in baselines)
    fresh = [{m.seed for m in e.measurements if m.fresh} for e in everything]
    assert [f for f in fresh if f] == [fresh[0]] * 3 and len(fresh[0]) == 3


async def test_baselines_are_tuned_as_hard_as_who_may_be_the_finalist_and_a_diverging_rate_is_only_a_bad_rate(
    tmp_path: Path,
) -> None:
    context, _ = a_context(tmp_path, task=Arithmetic(rates=(5e-3, 2e-2)))
    await campaign.run(context)
    everything = context.archive.experiments()
    tuned = [e for e in everything if any(m.learning_rate == 5e-3 and not m.fresh for m in e.measurements)]
    assert [sum(e.role is role for e in tuned) for role in (Role.BASELINE, Role.CANDIDATE)] == [2, 2]
    assert all(any(m.diverged and m.learning_rate == 2e-2 for m in e.measurements) for e in tuned)
    assert all(e.status is not ExperimentStatus.FAILED for e in tuned)
    fresh = [m for e in everything for m in e.measurements if m.fresh]
    assert {m.learning_rate for m in fresh} == {5e-3} and not any(m.diverged for m in fresh)
    shown = {e.id: summarise(e.measurements)[context.task.metric.name] for e in tuned}
    for e in tuned:  # a baseline that got no fresh seeds still stands at its tuned rate
        best = min(m.value for m in e.measurements if m.learning_rate == 5e-3 and not m.fresh)
        assert shown[e.id].fresh or shown[e.id].mean == best


async def test_a_home_corrects_for_all_its_campaigns_on_a_task_and_mixes_no_two_tasks(tmp_path: Path) -> None:
    first, _ = a_context(tmp_path, budget=3)
    await campaign.run(first)
    archive = first.archive
    for task in ("mixers", "program:/other"):
        archive.begin_campaign(Brief(budget=2, task=task))
        context, _ = a_context(tmp_path, archive=archive)
        await campaign.run(context)
    second, third = ([e for e in candidates(archive) if e.campaign == c] for c in (2, 3))
    assert {e.verdict.tried for e in second if e.verdict} == {5} and {e.verdict.tried for e in third if e.verdict} == {
        2
    }
    assert all(parent.startswith("c3-") for e in third for parent in e.parents)


async def test_a_baseline_that_diverges_on_a_fresh_seed_does_not_hide_the_verdict(tmp_path: Path) -> None:
    class Unlucky(Arithmetic):
        async def measure(self, candidate: Candidate, **how: Any) -> Measured:
            measured = await super().measure(candidate, **how)
            accident = how["fresh"] and how["seed"] % 2 and candidate.author == "baseline"
            runs = tuple(replace(m, diverged=m.diverged or bool(accident)) for m in measured.measurements)
            return replace(measured, measurements=runs)

    context, _ = a_context(tmp_path, task=Unlucky(fresh_seeds=4))
    await campaign.run(context)
    (confirmed,) = [e for e in candidates(context.archive) if any(m.fresh for m in e.measurements)]
    assert confirmed.verdict is not None and "2 fresh seeds" in confirmed.verdict.text


async def test_every_finished_experiment_teaches_memory_and_memory_is_asked_before_each(tmp_path: Path) -> None:
    memory = Remembered()
    context, _ = a_context(tmp_path, memory=memory)
    await campaign.run(context)
    assert {lesson.experiment for lesson in memory.lessons} == {e.id for e in candidates(context.archive)}
    assert len(memory.queries) == 4


async def test_a_gate_sends_its_own_words_to_the_debugger_who_mends_the_file(tmp_path: Path) -> None:
    client = a_script(Code=some_code("BAD = 1  # a Mixer"), Fix=a_fix("good = 1  # a Mixer"))
    context, events = a_context(tmp_path, client, budget=1)
    await campaign.run(context)
    (experiment,) = candidates(context.archive)
    assert experiment.status is not ExperimentStatus.FAILED and experiment.candidate
    assert experiment.candidate.source.startswith("good") and experiment.candidate.attempt == 2
    asked = next(texts for kind, texts in client.heard if kind == "Fix")
    assert any("the output has another shape" in text for text in asked)
    assert [e.gate.passed for e in events if isinstance(e, GateChecked)] == [False, True]


@pytest.mark.parametrize(
    "fix, word",
    [
        (a_fix("BAD = 2  # a Mixer"), "gate shape"),
        (a_fix("BAD = 1  # a Mixer"), "wrote no file: It is the file of attempt"),
    ],
)
async def test_debugging_ends_after_its_attempts_and_the_failure_is_kept(tmp_path: Path, fix: Any, word: str) -> None:
    client = a_script(Code=some_code("BAD = 1  # a Mixer"), Fix=[fix, a_fix("BAD = 3  # a Mixer")])
    context, _ = a_context(tmp_path, client, budget=1)
    await campaign.run(context)
    (experiment,) = candidates(context.archive)
    assert experiment.status is ExperimentStatus.FAILED and word in experiment.reason
    assert experiment.analysis is not None and experiment.gates[0].passed is False


async def test_a_debugger_that_hands_in_what_was_refused_hears_so_and_may_try_again(tmp_path: Path) -> None:
    client = a_script(Code=some_code("BAD = 1  # a Mixer"), Fix=[a_fix("BAD = 1  # a Mixer\n\n"), a_fix("good = 1")])
    context, events = a_context(tmp_path, client, budget=1)
    await campaign.run(context)
    (experiment,) = candidates(context.archive)
    assert experiment.candidate is not None and experiment.candidate.source.startswith("good")
    second = [texts for kind, texts in client.heard if kind == "Fix"][1]
    assert "It is the file of attempt 1, which was refused: change what the gate names." in second[-1]
    assert [e.gate.passed for e in events if isinstance(e, GateChecked)] == [False, True]  # no gate ran for it


async def test_a_reply_that_never_validates_fails_the_experiment_and_not_the_campaign(tmp_path: Path) -> None:
    client = a_script(Proposal=[ModelReplyInvalid("no valid JSON after 3 tries"), a_proposal()])
    context, _ = a_context(tmp_path, client, budget=2)
    ending = await campaign.run(context)
    statuses = [e.status for e in candidates(context.archive)]
    assert ending.status == "finished" and statuses.count(ExperimentStatus.FAILED) == 1
    assert any("no valid JSON" in e.reason for e in candidates(context.archive))


async def test_the_tokens_of_invalid_replies_are_counted(tmp_path: Path) -> None:
    error = ModelReplyInvalid("never", prompt_tokens=70, completion_tokens=30)
    context, _ = a_context(tmp_path, a_script(Proposal=error), budget=1)
    await campaign.run(context)
    assert context.archive.spent(1)[0] >= 100 and context.usage.tokens >= 100


async def test_a_task_without_a_working_baseline_ends_in_one_line(tmp_path: Path) -> None:
    class Hopeless(Arithmetic):
        async def measure(self, candidate: Any, **_: Any) -> Measured:  # type: ignore[override]
            return Measured(measurements=(), failure="the evaluator raised ValueError")

    context, _ = a_context(tmp_path, task=Hopeless())
    with pytest.raises(BadTask, match="the evaluator raised ValueError"):
        await campaign.run(context)
    assert candidates(context.archive) == []


async def test_one_baseline_that_cannot_be_measured_ends_no_campaign(tmp_path: Path) -> None:
    class Lame(Arithmetic):
        async def measure(self, candidate: Any, **how: Any) -> Measured:
            if candidate.source == "class Mixer: linear":
                return Measured(measurements=(), failure="the evaluator raised ValueError")
            return await super().measure(candidate, **how)

    script = a_script(Proposals=offered(a_proposal(base="gated_delta")))
    context, _ = a_context(tmp_path, script, task=Lame(), budget=1)
    assert (await campaign.run(context)).status == "finished"
    (experiment,) = candidates(context.archive)
    assert experiment.measurements and experiment.verdict and experiment.verdict.baseline == "c1-gated_delta"


async def test_an_analyst_that_cannot_answer_leaves_the_labs_own_words(tmp_path: Path) -> None:
    context, _ = a_context(tmp_path, a_script(Report=ModelReplyInvalid("never")), budget=1)
    await campaign.run(context)
    (experiment,) = candidates(context.archive)
    assert experiment.analysis and experiment.analysis.author == "the lab, without a model"


async def test_an_objection_that_stands_rejects_the_experiment(tmp_path: Path) -> None:
    context, _ = a_context(tmp_path, a_script(Critique=objection()), budget=1)
    await campaign.run(context)
    (experiment,) = candidates(context.archive)
    assert experiment.status is ExperimentStatus.REJECTED and "novelty" in experiment.reason
    assert experiment.candidate is None and not experiment.measurements


async def test_one_divergence_rejects(tmp_path: Path) -> None:
    context, _ = a_context(tmp_path, a_script(Code=some_code("DIVERGE = 1  # a Mixer")), budget=1)
    await campaign.run(context)
    (experiment,) = candidates(context.archive)
    assert experiment.status is ExperimentStatus.FAILED and "diverged" in experiment.reason


async def test_a_campaign_of_failures_only_still_ends_well(tmp_path: Path) -> None:
    context, _ = a_context(tmp_path, a_script(Code=some_code("CRASH = 1  # a Mixer")), budget=3)
    assert (await campaign.run(context)).status == "finished"
    assert all(e.status is ExperimentStatus.FAILED for e in candidates(context.archive))


@pytest.mark.parametrize("stop_after", (1, 2, 5, 9, 14, 20, 27, 35))
async def test_resume_repeats_no_stage_and_loses_none(tmp_path: Path, stop_after: int) -> None:
    """Cut the campaign after the n-th stored stage, resume it, and compare with what was stored before."""
    task = Arithmetic()
    context, _ = a_context(tmp_path, task=task, budget=3)
    stored, finish = 0, context.archive.finish_stage

    def cut(*args: Any, **kwargs: Any) -> None:
        nonlocal stored
        finish(*args, **kwargs)
        stored += 1
        if stored == stop_after:
            context.inbox.stop()

    context.archive.finish_stage = cut  # type: ignore[method-assign]
    await campaign.run(context)
    before = {(e.id, s.stage, s.rung, s.seed): s.finished_at for e in context.archive.experiments() for s in e.stages}
    context.archive.finish_stage = finish  # type: ignore[method-assign]
    again, _ = a_context(tmp_path, task=task, archive=context.archive)
    assert (await campaign.run(again)).status == "finished"
    after = {(e.id, s.stage, s.rung, s.seed): s.finished_at for e in context.archive.experiments() for s in e.stages}
    assert before.items() <= after.items()
    finished = [m for m in task.measured if task.measured.count(m) > 1]
    kept = {(e, stage, seed) for (e, stage, _, seed) in before}
    assert not kept & set(finished), "a stored training ran again"
    assert len(candidates(context.archive)) == 3 and context.archive.campaigns()[0].status == "finished"
    assert all(e.status is not ExperimentStatus.RUNNING for e in context.archive.experiments())


async def test_the_token_limit_ends_the_campaign_as_finished_with_nothing_left_running(tmp_path: Path) -> None:
    context, _ = a_context(tmp_path, budget=50, spend=Budget(tokens=100))
    ending = await campaign.run(context)
    assert ending.status == "finished" and "tokens" in ending.reason
    assert all(e.status is not ExperimentStatus.RUNNING for e in context.archive.experiments())
    assert context.archive.spent(1)[0] >= 100


async def test_the_time_limit_ends_a_training_that_is_under_way(tmp_path: Path) -> None:
    client = a_script(Code=some_code("SLOW = 1  # a Mixer"))
    seconds = [0.0]
    clock = Clock(hard=10.0, now=lambda: seconds[0])
    context, _ = a_context(tmp_path, client, budget=2, spend=Budget(seconds=10.0), clock=clock)
    late = at_the_first_training(context, lambda: seconds.append(seconds.pop() + 11.0))
    ending = await asyncio.wait_for(campaign.run(late), PATIENCE)
    assert ending.status == "finished" and "time" in ending.reason
    ended = candidates(context.archive)
    assert ended and all("not finished" in e.reason for e in ended)


async def test_stop_leaves_a_campaign_that_can_be_resumed(tmp_path: Path) -> None:
    inbox = Inbox()
    context, _ = a_context(tmp_path, a_script(Code=some_code("SLOW = 1  # a Mixer")), inbox=inbox)
    ending = await asyncio.wait_for(campaign.run(at_the_first_training(context, inbox.stop)), PATIENCE)
    assert ending.status == "stopped" and context.archive.campaigns()[0].status == "stopped"


async def test_a_veto_ends_the_newest_experiment_and_says_so(tmp_path: Path) -> None:
    inbox = Inbox()
    client = a_script(Code=some_code("SLOW = 1  # a Mixer"))
    context, _ = a_context(tmp_path, client, inbox=inbox, budget=1)
    vetoed = at_the_first_training(context, lambda: inbox.veto("I know that one"))
    await asyncio.wait_for(campaign.run(vetoed), PATIENCE)
    (experiment,) = candidates(context.archive)
    assert experiment.status is ExperimentStatus.REJECTED and "I know that one" in experiment.reason
    assert "/veto I know that one" in [line.text for line in context.archive.lines(experiment.id) if line.user]
    assert experiment.analysis is not None


async def test_an_approval_is_waited_for_and_a_veto_rejects(tmp_path: Path) -> None:
    inbox = Inbox()
    context, events = a_context(tmp_path, inbox=inbox, budget=2, approve="hypotheses", workers=1)
    answers = iter([inbox.approve, lambda: inbox.veto("too close to c1-001")])

    def answer(event: Any) -> None:
        events.append(event)
        if isinstance(event, ApprovalRequested):
            next(answers)()

    approvals = Approvals("hypotheses", inbox, answer, lambda line: context.archive.say(1, line))
    context = replace(context, on_event=answer, approvals=approvals)
    await asyncio.wait_for(campaign.run(context), PATIENCE)
    first, second = candidates(context.archive)
    assert [line.text for line in context.archive.lines(first.id) if line.user] == ["/approve"]
    assert [line.text for line in context.archive.lines(second.id) if line.user] == ["/veto too close to c1-001"]
    assert first.measurements and second.status is ExperimentStatus.REJECTED and "too close" in second.reason


@pytest.mark.parametrize("objected", [False, True])
async def test_auto_asks_about_a_hypothesis_only_where_the_critic_objected(tmp_path: Path, objected: bool) -> None:
    inbox = Inbox()
    client = a_script(Critique=objection()) if objected else a_script()
    limits = ConversationLimits(negotiation_rounds=0, refusals_tried=1.0)
    context, events = a_context(tmp_path, client, inbox=inbox, budget=1, approve="auto", limits=limits)

    def answer(event: Any) -> None:
        events.append(event)
        if isinstance(event, ApprovalRequested):
            inbox.approve()

    approvals = Approvals("auto", inbox, answer, lambda line: context.archive.say(1, line))
    await asyncio.wait_for(campaign.run(replace(context, on_event=answer, approvals=approvals)), PATIENCE)
    assert sum(isinstance(e, ApprovalRequested) for e in events) == objected
    assert candidates(context.archive)[0].measurements


async def test_auto_asks_about_one_of_four_toss_ups_and_says_what_the_other_idea_was(tmp_path: Path) -> None:
    inbox = Inbox()
    close, far = Prediction(effect=0.02, low=-0.1, high=0.1), Prediction(effect=0.4, low=0.3, high=0.5)
    offers = [
        offered(
            a_proposal(name=f"first_{n}", change=f"a floor of {n}", prediction=far if n == 1 else close),
            a_proposal(name=f"second_{n}", change=f"a ceiling of {n}", prediction=close),
        )
        for n in range(1, 8)
    ]
    client = a_script(Proposals=offers, Code=[some_code(f"class Mixer: {n}") for n in range(1, 8)])
    context, events = a_context(tmp_path, client, inbox=inbox, budget=7, approve="auto", workers=1)

    def answer(event: Any) -> None:
        events.append(event)
        if isinstance(event, ApprovalRequested):
            (inbox.approve if event.experiment == "c1-002" else partial(inbox.veto, "the other one"))()

    approvals = Approvals("auto", inbox, answer, lambda line: context.archive.say(1, line))
    await asyncio.wait_for(campaign.run(replace(context, on_event=answer, approvals=approvals)), PATIENCE)
    asked = {e.experiment: e.text for e in events if isinstance(e, ApprovalRequested) and e.kind == "hypothesis"}
    assert list(asked) == ["c1-002", "c1-005"]  # the first one was no toss-up; at the fifth one of four was asked about
    assert "second_2: a ceiling of 2" in asked["c1-002"] and "/propose c1-002.1" in asked["c1-002"]
    status = {e.id: e.status for e in candidates(context.archive)}
    assert status["c1-005"] is ExperimentStatus.REJECTED and status["c1-002"] is not ExperimentStatus.REJECTED


async def test_what_a_person_says_is_stored_with_the_experiment_and_answered(tmp_path: Path) -> None:
    inbox = Inbox()
    inbox.say("think of decays", source="Ada")
    context, events = a_context(
        tmp_path, a_script(Proposals=offered(a_proposal(), to_person="I will.")), inbox=inbox, budget=1
    )
    await campaign.run(context)
    lines = context.archive.lines("c1-001")
    said = next(line for line in lines if line.source == "Ada")
    assert said.user and said.to == "Researcher" and said.text == "think of decays"
    assert any(line.source == "Researcher" and line.to == "person" for line in lines)
    assert sum(isinstance(e, Spoke) and e.source == "Ada" for e in events) == 1


async def test_a_line_that_nobody_heard_survives_to_the_next_session(tmp_path: Path) -> None:
    inbox = Inbox()
    context, _ = a_context(tmp_path, inbox=inbox, budget=1)
    inbox.stop()
    inbox.say("do not forget me")
    await campaign.run(context)
    again, _ = a_context(tmp_path, archive=context.archive)
    await campaign.run(again)
    assert [line.text for line in again.archive.lines("c1-001") if line.user] == ["do not forget me"]


async def test_a_proposal_of_the_person_reaches_the_researcher_as_data(tmp_path: Path) -> None:
    inbox = Inbox()
    inbox.propose("combine a short convolution with retention")
    client = a_script()
    context, _ = a_context(tmp_path, client, inbox=inbox, budget=1)
    await campaign.run(context)
    asked = next(texts for kind, texts in client.heard if kind == "Proposals")
    assert any("combine a short convolution with retention" in text for text in asked)
    assert any(line.stage == "proposal" for line in context.archive.lines("c1-001"))


async def test_a_proposal_that_no_experiment_took_survives_to_the_next_session(tmp_path: Path) -> None:
    inbox = Inbox()
    context, _ = a_context(tmp_path, inbox=inbox, budget=2)
    inbox.stop()
    inbox.propose("a decay for each head")
    await campaign.run(context)
    client = a_script()
    again, _ = a_context(tmp_path, client, archive=context.archive)
    await campaign.run(again)
    stored = [line for line in again.archive.lines(campaign=1) if line.user]
    assert [(line.text, line.stage, line.experiment) for line in stored] == [
        ("a decay for each head", "proposal", "c1-001")
    ]
    assert any("a decay for each head" in text for kind, texts in client.heard if kind == "Proposals" for text in texts)


async def test_nothing_moves_while_the_person_paused(tmp_path: Path) -> None:
    reached = asyncio.Event()

    class Watched(Inbox):
        async def while_paused(self) -> None:
            reached.set()
            await super().while_paused()

    inbox = Watched()
    inbox.pause()
    task = Arithmetic()
    context, _ = a_context(tmp_path, inbox=inbox, task=task, budget=1)
    running = asyncio.create_task(campaign.run(context))
    await asyncio.wait_for(reached.wait(), PATIENCE)
    for _ in range(1_000):  # as often as it may want to take a turn
        await asyncio.sleep(0)
    assert task.measured == []
    inbox.resume()
    await asyncio.wait_for(running, PATIENCE)
    assert task.measured


async def test_a_memory_that_is_gone_loses_no_experiment(tmp_path: Path) -> None:
    class Gone(Remembered):
        async def recall(self, query: str, **_: Any) -> Any:
            raise MemoryUnavailable("the server is gone")

    context, _ = a_context(tmp_path, memory=Gone(), budget=2)
    await campaign.run(context)
    assert all(e.measurements for e in candidates(context.archive))


async def test_a_researcher_who_proposes_nothing_rejects_the_experiment_and_not_the_campaign(tmp_path: Path) -> None:
    context, _ = a_context(tmp_path, a_script(Proposals=offered()), budget=1)
    await campaign.run(context)
    (experiment,) = candidates(context.archive)
    assert experiment.status is ExperimentStatus.REJECTED and "proposed nothing" in experiment.reason
    assert experiment.analysis is not None


@pytest.mark.parametrize(("share", "tried"), [(0.0, 0), (1.0, 2)])
async def test_what_the_critic_refuses_is_tried_all_the_same_as_often_as_asked(
    tmp_path: Path, share: float, tried: int
) -> None:
    limits = ConversationLimits(negotiation_rounds=0, refusals_tried=share)
    client = a_script(Critique=objection(reason="It was tried in c1-007."))
    context, _ = a_context(tmp_path, client, budget=2, limits=limits)
    await campaign.run(context)
    found = candidates(context.archive)
    assert sum(bool(e.measurements) for e in found) == tried
    assert all(e.hypothesis is not None for e in found)
    assert [bool(e.hypothesis and "c1-007" in e.hypothesis.refused) for e in found] == [tried > 0] * 2


async def test_spent_tokens_end_the_proposing_and_what_is_written_is_trained_and_confirmed(tmp_path: Path) -> None:
    context, _ = a_context(tmp_path, budget=12, spend=Budget(tokens=250), workers=1)
    ending = await campaign.run(context)
    found = candidates(context.archive)
    written = [e for e in found if e.candidate is not None]
    assert ending.status == "finished" and "tokens" in ending.reason
    assert 0 < len(written) < 12 and len(found) < 12
    assert all(e.measurements and e.analysis is not None for e in written)
    assert any(e.verdict is not None and e.verdict.low is not None for e in written)
    assert not any(e.status is ExperimentStatus.RUNNING for e in found)


async def test_talking_holds_no_training_place(tmp_path: Path) -> None:
    context, _ = a_context(tmp_path, budget=4, workers=1, job_slots=asyncio.Semaphore(1), places=3)
    await campaign.run(context)
    assert len(candidates(context.archive)) == 4

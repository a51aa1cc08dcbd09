"""What a negotiation leaves for the stages after it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from move37.agents import campaign
from move37.agents.dialogue import grounded
from move37.agents.errors import ModelReplyInvalid
from move37.agents.ledger import unchosen
from move37.agents.limits import ConversationLimits
from move37.agents.replies import Prediction
from move37.lab.records import ExperimentStatus, Forecast, Role
from tests.agents.contexts import Remembered, a_context, a_script
from tests.agents.scripted import a_proposal, a_report, accepted, objection, offered
from tests.agents.test_precedents import an_experiment
from tests.builders import a_measurement

OWN = Prediction(effect=0.02, low=-0.01, high=0.05)
SWAPPED = Prediction(effect=0.9, low=0.03, high=-0.03)  # as a model may write it


@pytest.mark.parametrize("critics", [None, SWAPPED])
@pytest.mark.parametrize("researchers", [None, OWN])
async def test_every_forecast_that_was_made_before_the_run_is_kept_under_its_author(
    tmp_path: Path, researchers: Prediction | None, critics: Prediction | None
) -> None:
    script = a_script(Proposal=a_proposal(prediction=researchers), Critique=accepted(prediction=critics))
    context, _ = a_context(tmp_path, script, budget=1)
    await campaign.run(context)
    (experiment,) = [e for e in context.archive.experiments() if e.role is Role.CANDIDATE]
    assert experiment.hypothesis is not None
    expected: list[Any] = [Forecast(author="Researcher", effect=0.02, low=-0.01, high=0.05)] if researchers else []
    expected += [Forecast(author="Critic", effect=0.03, low=-0.03, high=0.03)] if critics else []
    assert list(experiment.hypothesis.forecasts) == expected


@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize("base", ["nowhere", "linear"])
async def test_what_the_lab_could_not_judge_is_no_refusal_of_the_critics_and_is_never_tried(
    tmp_path: Path, base: str, dropped: bool
) -> None:
    refused = offered(a_proposal(base=base, change="another floor"))
    offers = [offered(a_proposal(base="gated_delta")), refused, *([offered(drop=True)] if dropped else [])]
    script = a_script(Proposals=offers, Critique=objection(prediction=OWN))
    limits = ConversationLimits(refusals_tried=1.0)
    context, _ = a_context(tmp_path, script, budget=1, limits=limits)
    context.inbox.direct("ban", "linear")
    await campaign.run(context)
    (experiment,) = [e for e in context.archive.experiments() if e.role is Role.CANDIDATE]
    assert experiment.status is ExperimentStatus.REJECTED and experiment.candidate is None
    assert ("dropped by the Researcher" if dropped else "the lab could not judge it") in experiment.reason
    assert experiment.hypothesis is not None and not experiment.hypothesis.forecasts, "nobody judged this one"


async def test_numbers_that_nobody_measured_reach_no_lesson(tmp_path: Path) -> None:
    """A small model named the gain of an idea that its Critic had refused."""
    dreamt = a_report(seen="The measured gain is +0.340.", lesson="It gained 0.340.", symptoms=["a gain of 0.340"])
    memory = Remembered()
    script = a_script(Critique=objection(reason="It was tried."), Report=dreamt)
    limits = ConversationLimits(refusals_tried=0.0)
    context, _ = a_context(tmp_path, script, budget=1, limits=limits, memory=memory)
    await campaign.run(context)
    (experiment,) = [e for e in context.archive.experiments() if e.role is Role.CANDIDATE]
    assert experiment.candidate is None and experiment.analysis is not None
    (lesson,) = [kept for kept in memory.lessons if kept.experiment == experiment.id]
    for told in (experiment.analysis, lesson):
        assert "0.340" not in f"{told.seen} {told.lesson} {told.symptoms}"
        assert told.seen.startswith("Nothing was measured: ") and "It was tried." in told.seen
        assert told.lesson.startswith("Nothing was measured: ")


@pytest.mark.parametrize("reason", ["", "failed the gate causality. It looks ahead"])
def test_what_failed_before_a_number_says_so_first_and_keeps_what_was_seen_of_it(reason: str) -> None:
    seen = a_report(seen="row 3 changed by 0.2", lesson="It looks ahead.").analysis(author="tiny")
    failed = an_experiment("c1-001", reason=reason)
    told = grounded(seen, failed)
    fact = f"Nothing was measured: {reason or 'it ended before'}"
    assert (told.seen, told.lesson) == (f"{fact}. row 3 changed by 0.2", f"{fact}. It looks ahead.")
    assert (told.why, told.next, told.author) == (seen.why, seen.next, "tiny")
    assert grounded(seen, replace(failed, measurements=(a_measurement(),))) == seen


@pytest.mark.parametrize("lost", ["Critic", "Researcher"])
async def test_ideas_that_found_nothing_wrong_are_kept_where_no_valid_judgement_came(lost: str, tmp_path: Path) -> None:
    """The experiment is lost and says why; what was proposed in it stays in the pool for whoever comes next."""
    never = ModelReplyInvalid(f"never a valid {lost}")
    proposal = [never, a_proposal(name="later")] if lost == "Researcher" else a_proposal()
    critique = [never, accepted()] if lost == "Critic" else accepted()
    context, _ = a_context(tmp_path, a_script(Proposal=proposal, Critique=critique), budget=2, workers=1)
    await campaign.run(context)
    first = context.archive.experiment("c1-001")
    assert first.status is ExperimentStatus.FAILED and lost in first.reason
    ideas = unchosen(first)
    assert [i.hypothesis.name for i in ideas] == (["floor_on_decay"] if lost == "Critic" else [])
    assert all("nobody judged it" in i.reason and i.hypothesis.base == "c1-linear" for i in ideas)

"""What a negotiation leaves for the stages after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from move37.agents import campaign
from move37.agents.limits import ConversationLimits
from move37.agents.replies import Prediction
from move37.lab.records import ExperimentStatus, Forecast, Role
from tests.agents.contexts import a_context, a_script
from tests.agents.scripted import a_proposal, accepted, objection, offered

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

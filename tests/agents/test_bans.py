"""A base that the user ruled out is refused with a sentence, whichever way the proposal came in.

The ways: a language model over HTTP, an idea of the pool, a second base, a hypothesis of the user, and somebody in
the chair. A coding agent's is tests/app/mcp/test_tools.py; what the search draws from never holds a banned base.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from move37.agents import campaign, precedents
from move37.agents.external.scientist import ExternalScientist
from move37.agents.external.turns import PendingTurns
from move37.agents.models.assignment import ROLES
from move37.lab.records import Role
from tests.agents.contexts import a_context
from tests.agents.scripted import a_proposal, accepted, offered
from tests.agents.test_learning import Script, a_run, candidates, role_of, text_of
from tests.agents.test_precedents import BASELINE, KNOWN, TRIED

RULED_OUT = "the user has ruled out linear as a base (/ban)"


@pytest.mark.parametrize(
    "first", [{"base": "linear"}, {"base": "c1-linear"}, {"base": "gated_delta", "second": "c1-linear"}]
)
async def test_a_model_that_names_a_banned_base_hears_it_and_chooses_another(
    first: dict[str, str], tmp_path: Path
) -> None:
    def researcher(number: int, times: int, request: dict[str, Any]) -> Any:
        return offered(a_proposal(**(first if times == 1 else {"base": "gated_delta"})))

    with a_run(tmp_path, Script(Researcher=researcher), budget=1) as (context, requests):
        context.inbox.direct("ban", "linear")
        await campaign.run(context)
    asked = [text_of(r) for r in requests if role_of(r)[0] == "Researcher"]
    assert "- Ruled out by the user as a base: linear" in asked[0] and "(/ban)" not in asked[0]
    assert "the user has ruled out" in asked[1] and "(/ban)" in asked[1]
    (experiment,) = candidates(context)
    assert experiment.parents == ("c1-gated_delta",)


async def test_a_model_that_insists_on_a_banned_base_gets_no_experiment(tmp_path: Path) -> None:
    with a_run(tmp_path, Script(Researcher=lambda *_: offered(a_proposal())), budget=1) as (context, requests):
        context.inbox.direct("ban", "linear")
        await campaign.run(context)
    (experiment,) = candidates(context)
    assert RULED_OUT in experiment.reason and experiment.candidate is None
    assert not [r for r in requests if role_of(r)[0] == "Engineer"]


async def test_an_idea_of_the_pool_on_a_banned_base_is_refused(tmp_path: Path) -> None:
    inboxes: list[Any] = []

    def researcher(number: int, times: int, request: dict[str, Any]) -> Any:
        if number == 1:
            return offered(a_proposal(name="first_idea"), a_proposal(name="second_idea", change="a longer floor"))
        inboxes[0].direct("ban", "linear")  # before the third begins
        if number == 3 and times == 1:
            return offered(a_proposal(name="taken_up", change="a longer floor", idea="c1-001.1"))
        return offered(a_proposal(name=f"another_{number}", base="gated_delta", change=f"floor {number}"))

    with a_run(tmp_path, Script(Researcher=researcher, Critic=lambda *_: accepted())) as (context, requests):
        inboxes.append(context.inbox)
        await campaign.run(context)
    third = [text_of(r) for r in requests if role_of(r) == ("Researcher", 3)]
    assert RULED_OUT in third[1] and candidates(context)[2].name == "another_3"


async def test_a_hypothesis_of_the_users_own_does_not_lift_a_ban(tmp_path: Path) -> None:
    def researcher(number: int, times: int, request: dict[str, Any]) -> Any:
        return offered(a_proposal(base="linear" if times == 1 else "gated_delta"))

    with a_run(tmp_path, Script(Researcher=researcher), budget=1) as (context, requests):
        context.inbox.direct("ban", "linear")
        context.inbox.propose("linear attention with a floor")
        await campaign.run(context)
    asked = [text_of(r) for r in requests if role_of(r)[0] == "Researcher"]
    assert "linear attention with a floor" in asked[0] and RULED_OUT in asked[1]


async def test_an_external_agent_hears_it_too(tmp_path: Path) -> None:
    pending, heard = PendingTurns(), []

    async def answer(turn: Any, token: Any) -> Any:
        heard.append(turn)
        if turn.role == "Researcher":
            return offered(a_proposal(base="linear" if len(heard) == 1 else "gated_delta"))
        return Script.usual(turn.role, 1)

    pending.ask = answer  # type: ignore[method-assign]
    agent = ExternalScientist(pending, signature="seat", earlier=lambda _: None, every_role=True)
    context, _ = a_context(tmp_path, budget=1, scientists=dict.fromkeys(ROLES, agent))
    context.inbox.direct("ban", "linear")
    await campaign.run(context)
    problems = [p for turn in heard[:2] for m in turn.heard for p in getattr(m, "problems", ())]
    assert any(RULED_OUT in p for p in problems)
    assert next(e for e in context.archive.experiments() if e.role is Role.CANDIDATE).parents == ("c1-gated_delta",)


def test_a_ban_of_a_family_means_its_candidates_too_and_other_bases_stay() -> None:
    idea = a_proposal(base=TRIED.id, change="something new")
    assert precedents.complaints(idea, KNOWN, pool=(), banned=(BASELINE.id,)) == []
    assert any("ruled out" in p for p in precedents.complaints(idea, KNOWN, pool=(), banned=(TRIED.id,)))

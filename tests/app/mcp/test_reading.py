"""What an outsider reads is whole, of now, and what it asked for; and while the lab works it is told how to wait."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

from move37.agents import kernels_card
from move37.agents.context_builder import task_card
from move37.memory.records import Entry
from tests.agents import contexts
from tests.agents.contexts import Arithmetic, Remembered
from tests.app.mcp.test_states import IDEA, offered
from tests.app.mcp.test_tools import LESSON, WORDS, an_agent, source


class Held(Arithmetic):
    """Does not measure while it is shut: one who trains for minutes."""

    shut = "baselines"  # or "climb"

    async def measure(self, candidate: Any, **around: Any) -> Any:
        def waits() -> bool:
            return Held.shut == "baselines" or (Held.shut == "climb" and around["rung"].steps > contexts.SCREEN.steps)

        while waits():
            await asyncio.sleep(0.02)
        return await super().measure(candidate, **around)


async def test_brief_tells_all_that_a_file_is_written_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contexts.Arithmetic, "uses_kernels", True)
    async with an_agent(tmp_path) as agent:
        await offered(agent)
        brief = await agent("brief")
        assert brief["kernels"] == kernels_card.card() and "chunk_gated_delta_rule" in brief["kernels"]
        assert "about 1 s a candidate" in (await agent("context"))["context"], "as the baselines took"
        assert brief["facts"] == dict(task_card(agent.lab.context).facts)
        assert {"contract", "metric", "baselines", "rungs"} <= brief.keys()


async def test_a_task_without_kernels_is_told_of_none(tmp_path: Path) -> None:
    async with an_agent(tmp_path) as agent:
        await offered(agent)
        assert "kernels" not in await agent("brief")


async def test_while_the_lab_measures_there_is_something_to_wait_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent without a clock would ask for the status a hundred times."""
    monkeypatch.setattr(contexts, "Arithmetic", Held)
    monkeypatch.setattr(Held, "shut", "baselines")
    async with an_agent(tmp_path, budget="1") as agent:
        assert await agent.lab.until(lambda: agent.lab.phase == "baselines", 60)
        waiting = "wait(experiment='c1-linear', seconds=45)"
        assert await agent.lab.until(lambda: agent.lab.next() == [waiting], 60)
        assert f"call {waiting}" in await agent.refused("propose", **IDEA)
        assert (await agent("context"))["context"].startswith("## What may still be spent")
        Held.shut = "climb"
        assert await offered(agent) == ["propose(...)"]
        ident = await agent.whole(1)
        assert await agent.lab.until(lambda: agent.lab.phase == "climb", 60)
        status = await agent("status")
        assert status["next"] == [f"wait(experiment={ident!r}, seconds=45)"] and status["state"] == "climb"
        waits = asyncio.create_task(agent("wait", experiment=ident))
        await asyncio.sleep(0.5)
        assert not waits.done()
        Held.shut = ""
        assert (await waits)["needs"] == "" and await agent.lab.until(lambda: agent.lab.ended, 60)


async def test_a_context_holds_what_was_analysed_a_moment_ago(tmp_path: Path) -> None:
    """Also where nobody is asked for a proposal any more, and where one who is has waited since before."""
    async with an_agent(tmp_path, budget="3", workers=3) as agent:
        first, second = await agent.propose(1), await agent.propose(2)
        third = await agent.propose(3)
        for number, ident in enumerate((first, second)):
            await agent("submit", proposal=ident, source=source(number))
            await agent("wait", experiment=ident)
            await agent("analyse", experiment=ident, **LESSON)
        told = (await agent("context"))["context"]
        assert f"- {first} idea_1, from" in told and f"- {second} idea_2, from" in told
        assert f"{second} idea_2 2." in told.partition("## Every experiment")[0], "the leaderboard, too"
        assert third in told.partition("## Being tried just now")[2]


async def test_places_that_are_free_are_no_experiments(tmp_path: Path) -> None:
    async with an_agent(tmp_path, workers=2) as agent:
        await offered(agent)
        assert (await agent("status"))["experiments"] == []
        ident = await agent.propose(1)
        assert [(e["id"], e["needs"]) for e in (await agent("status"))["experiments"]] == [(ident, "submit")]


async def test_who_asks_for_the_last_proposal_together_with_another_hears_at_once_that_it_is_gone(
    tmp_path: Path,
) -> None:
    async with an_agent(tmp_path, budget="1") as agent:
        await offered(agent)
        idea = {"base": "linear", **WORDS}
        async with asyncio.timeout(20):  # a tool waits for 40 seconds where something may still be free
            both = await asyncio.gather(
                agent.client.call_tool("propose", {"name": "one_way", "change": "one thing", **idea}),
                agent.client.call_tool("propose", {"name": "another", "change": "another thing", **idea}),
            )
        assert sorted(bool(r.is_error) for r in both) == [False, True]
        (refused,) = [str(r.content) for r in both if r.is_error]
        assert "every proposal of the budget is made" in refused or "another client was quicker" in refused


async def test_a_stopped_campaign_is_called_stopped_and_says_how_it_goes_on(tmp_path: Path) -> None:
    async with an_agent(tmp_path, budget="2") as agent:
        await agent.whole(1)
        await agent("stop")
        assert await agent.lab.until(lambda: agent.lab.ended, 60)
        status = await agent("status")
        assert status["state"] == "stopped" and "`move37 mcp` in this home goes on" in status["why"]


async def test_a_paper_is_read_by_its_key_and_nothing_else_stands_for_one_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def paper(_: Remembered, key: str) -> tuple[Entry, ...]:
        insights = [Entry(key=key, number=n, origin="builtin", title="T", insight=f"insight {n}") for n in range(2)]
        return tuple(insights) if key == "2412.06464" else ()

    monkeypatch.setattr(Remembered, "paper", paper)
    async with an_agent(tmp_path) as agent:
        await offered(agent)
        read = str(await agent.client.read_resource("paper://2412.06464"))
        assert "insight 0" in read and "insight 1" in read
        with pytest.raises(MCPError, match="there is no paper 'nothing-like-it': recall names their keys"):
            await agent.client.read_resource("paper://nothing-like-it")


async def test_an_empty_question_is_told_what_to_ask(tmp_path: Path) -> None:
    async with an_agent(tmp_path) as agent:
        await offered(agent)
        assert "the query is empty" in await agent.refused("recall", query=" ")


async def test_the_server_says_which_version_it_is(tmp_path: Path) -> None:
    async with an_agent(tmp_path) as agent:
        assert (found := agent.client.server_info) is not None and found.version

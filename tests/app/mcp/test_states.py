"""In every state an outsider is told what may be done now, and whatever it does instead is a sentence that says so."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from mcp.client.client import Client

from move37.agents.events import StageStarted
from move37.agents.external.scientist import ExternalScientist
from move37.agents.external.turns import PendingTurns
from move37.agents.models import provider_of
from move37.agents.models.assignment import ROLES
from move37.agents.scientists import scientist
from move37.app.mcp.laboratory import Laboratory
from move37.app.mcp.reading import A_WHILE
from move37.app.mcp.server import build
from move37.app.mcp.tools import predicted
from move37.app.settings import load
from move37.app.surroundings import places
from move37.app.watch import Watcher
from move37.lab.archive.controls import ControlKind, Controls
from move37.lab.archive.store import Archive
from move37.lab.records import Forecast
from tests.app.mcp.test_tools import LESSON, WORDS, Agent, an_agent, source

IDEA = {"name": "one_more", "base": "linear", "change": "one more idea", **WORDS}


async def offered(agent: Agent) -> list[str]:
    """`next`, once a proposal may be made."""
    assert await agent.lab.until(lambda: agent.lab.pending.find("Researcher"), 60)
    return list((await agent("status"))["next"])


async def test_next_and_the_refusals_are_right_from_the_first_proposal_to_the_end(tmp_path: Path) -> None:
    async with an_agent(tmp_path, budget="2", workers=1) as agent:
        assert await offered(agent) == ["propose(...)"]
        first = await agent.propose(1)
        assert (await agent("status"))["next"] == [f"submit(proposal={first!r}, source=...)", "check(source=...)"]
        said = await agent.refused("propose", **IDEA)
        assert f"{first} waits for submit" in said and f"call submit(proposal={first!r}, source=...) first" in said
        assert "needs submit first" in await agent.refused("analyse", experiment=first, **LESSON)
        await agent("submit", proposal=first, source=source(1))
        assert (await agent("wait", experiment=first))["next"] == [f"analyse(experiment={first!r}, ...)"]
        assert f"call analyse(experiment={first!r}, ...) first" in await agent.refused("propose", **IDEA)
        await agent("analyse", experiment=first, **LESSON)
        assert await offered(agent) == ["propose(...)"]
        again = {"name": "idea_1", "base": "gated_delta", "change": "another forget gate, number 1", **WORDS}
        assert f"{first} (idea_1) proposed the same change" in await agent.refused("propose", **again)
        second = await agent.propose(2)
        said = await agent.refused("propose", **IDEA)
        assert "every proposal of the budget is made" in said and f"call submit(proposal={second!r}" in said
        await agent("submit", proposal=second, source=source(2))
        await agent("wait", experiment=second)
        await agent("analyse", experiment=second, **LESSON)
        assert await agent.lab.until(lambda: agent.lab.ended or agent.lab.trouble, 60)
        status = await agent("status")
        assert status["next"] == ["status()"] and status["state"] == "ended"
        assert "start `move37 mcp` again" in await agent.refused("propose", **IDEA)


async def test_when_all_that_was_begun_waits_for_its_analysis_that_is_said_at_once(tmp_path: Path) -> None:
    async with an_agent(tmp_path, workers=2) as agent:
        begun = [await agent.propose(n) for n in (1, 2)]
        for number, ident in enumerate(begun):
            await agent("submit", proposal=ident, source=source(number))
            assert (await agent("wait", experiment=ident))["needs"] == "analyse"
        async with asyncio.timeout(30):  # a tool waits for 40 seconds where something may still be free
            said = await agent.refused("propose", **IDEA)
        assert f"{begun[0]} waits for analyse; {begun[1]} waits for analyse" in said
        assert f"call analyse(experiment={begun[0]!r}, ...) first" in said
        await agent("analyse", experiment=begun[0], **LESSON)
        assert (await agent("propose", **IDEA))["proposal"] == "c1-003"


async def test_what_is_nobodys_turn_is_neither_waited_for_nor_analysed(tmp_path: Path) -> None:
    """A baseline, and an experiment of an earlier campaign; then a campaign that was stopped."""
    async with an_agent(tmp_path, budget="1") as agent:
        earlier = await agent.whole(1)
        assert await agent.lab.until(lambda: agent.lab.ended, 60)
    with Archive.open(tmp_path) as archive:
        archive.begin_campaign(archive.campaigns()[0].brief)
    async with an_agent(tmp_path, budget="1") as agent:
        await offered(agent)
        for ident in ("linear", earlier):
            async with asyncio.timeout(30):
                assert (await agent("wait", experiment=ident))["needs"] == ""
            assert "not of your campaign" in await agent.refused("analyse", experiment=ident, **LESSON)
        assert (await agent("stop"))["next"] == ["status()"]
        for tool, given in (("propose", IDEA), ("analyse", {"experiment": "c2-001", **LESSON})):
            assert "start `move37 mcp` again in this home to go on" in await agent.refused(tool, **given)


async def test_a_client_that_disconnects_while_it_waits_loses_nothing(tmp_path: Path) -> None:
    lab = Laboratory(load({"home": tmp_path, "budget": "2", "workers": 2}))
    async with lab.opened():
        server = build(lab, own=False)
        async with Client(server) as client:
            one = Agent(client)
            slow, quick = await one.propose(1), await one.propose(2)
            await one("submit", proposal=slow, source=f"{source(1)}# SLOW")
            waiting = asyncio.create_task(one("wait", experiment=slow, seconds=45))
            await asyncio.sleep(0.3)
            assert not waiting.done()
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        async with Client(server) as client:
            two = Agent(client)
            states = {e["id"]: e["state"] for e in (await two("status"))["experiments"]}
            assert states == {slow: "running", quick: "running"}
            await two("submit", proposal=quick, source=source(2))
            assert (await two("wait", experiment=quick))["needs"] == "analyse"
            assert (await two("wait", experiment=slow, seconds=0))["state"] == "running"


async def test_a_megabyte_in_any_argument_is_a_short_sentence(tmp_path: Path) -> None:
    long = "x" * 1_000_000
    async with an_agent(tmp_path) as agent:
        ident = await agent.propose(1)
        named = dict.fromkeys(("id", "experiment", "proposal"), ident)
        usual = {**named, "source": source(1), "query": "gates", **IDEA, **LESSON}
        tried = 0
        for tool in (await agent.client.list_tools()).tools:
            fields = tool.input_schema["properties"]
            for name in (n for n, field in fields.items() if field.get("type") == "string"):
                given = {n: usual[n] for n in fields if n in usual} | {name: long}
                result = await agent.client.call_tool(tool.name, given)
                said = "".join(getattr(part, "text", "") for part in result.content)
                assert result.is_error and 0 < len(said) < 1_000, (tool.name, name)
                tried += 1
        assert tried >= 15
        await agent("submit", proposal=ident, source=source(1))
        assert (await agent("wait", experiment=ident))["needs"] == "analyse"


async def test_a_user_beside_the_agent_sees_it_and_steers_it(tmp_path: Path) -> None:
    """What `move37 attach` and the page do at a campaign of `move37 mcp`."""
    async with an_agent(tmp_path, budget="2", workers=1) as agent:
        ident = await agent.propose(1)
        with Controls(tmp_path) as controls, Watcher(tmp_path, 1) as watcher:
            assert any(isinstance(e, StageStarted) and e.experiment == ident for e in watcher.poll())
            for kind, text, says in (
                (ControlKind.SAY, "try a floor", "noted"),
                (ControlKind.PAUSE, "", "paus"),
                (ControlKind.RESUME, "", "going on"),
                (ControlKind.STOP, "", "stop"),
            ):
                order = controls.post(1, kind, text=text, user="ada")
                assert await agent.lab.until(lambda o=order: (c := controls.find(o)) and c.answer, 60), kind
                assert says in str(controls.find(order).answer), controls.find(order)  # type: ignore[union-attr]
        told = (await agent("status"))["notices"]
        assert "ada: try a floor" in told and "ada: /stop" in [text.strip() for text in told]
        assert "was stopped" in await agent.refused("propose", **IDEA)


async def test_a_user_is_asked_the_agent_is_told_so_and_their_word_counts(tmp_path: Path) -> None:
    """What waited for a word was "being tried", and a tool kept its client waiting for 40 seconds."""
    heard = tmp_path / "heard"
    notify = f"""sh -c 'echo "$0" >> "{heard}"'"""
    flags = {"approve": "hypotheses", "approval_timeout": "10m", "notify": notify, "budget": "2"}
    async with an_agent(tmp_path, workers=1, **flags) as agent:
        with Controls(tmp_path) as controls:
            for number, kind in ((1, ControlKind.APPROVE), (2, ControlKind.VETO)):
                async with asyncio.timeout(30):
                    change = {"name": f"idea_{number}", "change": f"another forget gate, number {number}"}
                    told = await agent("propose", **IDEA | change)
                ident = told["proposal"]
                assert told["user"] == [f"{ident} waits for the user's word (hypothesis)"]
                assert f"{ident} waits for the user's word" in await agent.refused("propose", **IDEA)
                order = controls.post(1, kind, text="seen before", user="ada")
                assert await agent.lab.until(lambda o=order: (c := controls.find(o)) and c.answer, 60)
                if kind is ControlKind.APPROVE:
                    await agent("submit", proposal=ident, source=source(number))
                waited = await agent("wait", experiment=ident)
                assert waited["needs"] == "analyse" and "user" not in waited
                assert ("vetoed by the user: seen before" in waited["reason"]) is (kind is ControlKind.VETO)
                await agent("analyse", experiment=ident, **LESSON)
        assert await agent.lab.until(lambda: agent.lab.ended or agent.lab.trouble, 60)
    notices = heard.read_text()
    assert notices.count("waits for your word (hypothesis)") == 2 and "finished" in notices


async def test_an_agent_alone_is_held_up_for_one_timeout_and_not_for_each(tmp_path: Path) -> None:
    flags = {"approve": "code", "approval_timeout": "1s", "budget": "2"}
    async with an_agent(tmp_path, workers=1, **flags) as agent:
        for number in (1, 2):
            await agent.whole(number)
        told = (await agent("status"))["notices"]
    assert (
        len([t for t in told if "Nobody answered" in t]) == len([t for t in told if "Nobody has been here" in t]) == 1
    )


# Predictions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("+0.03 [0.00, 0.06]", (0.03, 0.0, 0.06)),
        ("-.5 [-1, 2.25] bits, because it forgets", (-0.5, -1.0, 2.25)),
        (" 3[1,4]", (3.0, 1.0, 4.0)),
        ("+0.03", None),
        ("about +0.03 [0.00, 0.06]", None),
        ("+0.03 [0.00]", None),
        ("[0.00, 0.06]", None),
        ("nan [0, 1]", None),
        ("1e999 [0, 1]", None),
        ("9" * 400 + " [0, 1]", None),
        ("", None),
    ],
)
def test_a_prediction_is_read_in_its_form_and_never_guessed(text: str, found: Any) -> None:
    prediction = predicted(text)
    assert (prediction and (prediction.effect, prediction.low, prediction.high)) == found


async def test_a_prediction_in_numbers_is_stored_to_be_scored_and_words_say_how(tmp_path: Path) -> None:
    async with an_agent(tmp_path, workers=2) as agent:
        words = await agent("propose", **IDEA)
        assert words["forecast"] is None and "[0.00, 0.06]" in words["note"]
        told = IDEA | {
            "name": "another_one",
            "change": "a different idea",
            "predicted_effect": "+0.03 [0.00, 0.06] bits",
        }
        numbers = await agent("propose", **told)
        assert numbers["forecast"] == {"effect": 0.03, "low": 0.0, "high": 0.06}
    with Archive.open(tmp_path, readonly=True) as archive:
        one, other = (archive.experiment(answer["proposal"]).hypothesis for answer in (words, numbers))
    assert one and other and one.forecasts == ()
    assert other.forecasts == (Forecast(author="Researcher", effect=0.03, low=0.0, high=0.06),)


async def test_a_forecast_out_of_order_is_told_as_it_is_stored(tmp_path: Path) -> None:
    async with an_agent(tmp_path) as agent:
        told = await agent("propose", **IDEA | {"predicted_effect": "+0.09 [0.06, 0.00] bits"})
    with Archive.open(tmp_path, readonly=True) as archive:
        hypothesis = archive.experiment(told["proposal"]).hypothesis
    assert hypothesis is not None
    (stored,) = hypothesis.forecasts
    assert told["forecast"] == {"effect": stored.effect, "low": stored.low, "high": stored.high}
    assert (stored.effect, stored.low, stored.high) == (0.06, 0.0, 0.06) and "put in order" in told["note"]


# Bad input --------------------------------------------------------------------------------------------------------


async def test_a_file_that_is_no_text_an_empty_analysis_and_a_name_of_several_lines(tmp_path: Path) -> None:
    async with an_agent(tmp_path) as agent:
        told = await agent("propose", **IDEA | {"name": "idea\n\x1b[31mred"})
        ident = told["proposal"]
        assert (await agent("status"))["experiments"][0]["name"] == "idea [31mred"
        for tool, more in (("check", {}), ("submit", {"proposal": ident})):
            assert "which no Python file can" in await agent.refused(tool, source="x = '\x00'\n", **more)
        await agent("submit", proposal=ident, source=source(1))
        assert (await agent("wait", experiment=ident))["needs"] == "analyse"
        assert "why is empty" in await agent.refused("analyse", experiment=ident, **LESSON | {"why": " \n"})
        await agent("analyse", experiment=ident, **LESSON)  # the chance was not spent


async def test_who_hands_in_the_same_file_at_once_is_answered_at_once(tmp_path: Path) -> None:
    async with an_agent(tmp_path) as agent:
        ident = await agent.propose(1)
        began = time.monotonic()
        answers = await asyncio.gather(
            *(agent.client.call_tool("submit", {"proposal": ident, "source": source(n)}) for n in range(3))
        )
        assert sorted(a.is_error for a in answers) == [False, True, True]
        assert time.monotonic() - began < 0.75 * A_WHILE


# Places -----------------------------------------------------------------------------------------------------------


def test_who_waits_for_somebody_outside_holds_no_training_place() -> None:
    search = scientist(None)
    seat = ExternalScientist(PendingTurns(), signature="seat", earlier=lambda _: None)
    assert places(dict.fromkeys(ROLES, search), 3) == 3
    assert places(dict.fromkeys(ROLES, seat), 3) == places({"Researcher": seat, "Critic": search}, 3) > 3


def test_a_model_that_answers_call_by_call_is_not_asked_about_everything_at_once() -> None:
    somebody = ExternalScientist(PendingTurns(), signature="local:x", earlier=lambda _: None)
    roles = dict.fromkeys(ROLES, somebody)
    assert places(roles, 8, [provider_of("local:smollm2-135m")]) == 2
    assert places(roles, 8, [provider_of("openai:x"), None]) > 8

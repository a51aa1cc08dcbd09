"""A scripted coding agent over the SDK's own client, in memory: three experiments, and everything it may do wrong.

The campaign is the ordinary one; its task measures by arithmetic (tests/agents/contexts).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp.client.client import Client

from move37.app.mcp.laboratory import Laboratory
from move37.app.mcp.refusals import CallRefused
from move37.app.mcp.server import build
from move37.app.settings import load
from move37.lab.archive.store import Archive
from tests.agents import contexts
from tests.agents.scripted import some_code

WORDS = {"motivation": "gates forget what is old", "predicted_effect": "+0.05 bits"}
LESSON = {"expected": "a gain", "seen": "a loss", "why": "it forgets too much", "next": "forget less"}


class Agent:
    """The SDK's client, with answers as data and refusals as text."""

    def __init__(self, client: Client, lab: Laboratory | None = None) -> None:
        self.client = client
        self._lab = lab

    @property
    def lab(self) -> Laboratory:
        """What is behind the tools, where it is in this process."""
        assert self._lab is not None
        return self._lab

    async def __call__(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, result.content
        assert result.structured_content is not None
        assert {"next", "budget"} <= result.structured_content.keys()
        return result.structured_content

    async def refused(self, tool: str, **arguments: Any) -> str:
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error, result.structured_content
        (said,) = result.content
        text = str(said.text)  # type: ignore[union-attr]
        assert text and "\n" not in text.strip() and "Traceback" not in text
        return text

    async def propose(self, number: int, base: str = "gated_delta") -> str:
        change = f"another forget gate, number {number}"
        return str((await self("propose", name=f"idea_{number}", base=base, change=change, **WORDS))["proposal"])

    async def whole(self, number: int) -> str:
        """One experiment from proposal to analysis."""
        ident = await self.propose(number)
        await self("submit", proposal=ident, source=source(number))
        assert (await self("wait", experiment=ident, seconds=45))["needs"] == "analyse"
        await self("analyse", experiment=ident, **LESSON)
        return ident


def source(number: int) -> str:
    return f"{some_code().source}\n# {number}\n"


@asynccontextmanager
async def an_agent(home: Path, **flags: Any) -> AsyncIterator[Agent]:
    lab = Laboratory(load({"home": home, "budget": "3", **flags}))
    async with Client(build(lab)) as client:
        yield Agent(client, lab)


async def test_three_experiments_with_a_cut_in_the_middle(tmp_path: Path) -> None:
    async with an_agent(tmp_path) as agent:
        await agent("brief")
        first = await agent.whole(1)
        second = await agent.propose(2)
        await agent("submit", proposal=second, source=source(2))
    async with an_agent(tmp_path) as agent:
        waited = await agent("wait", experiment=second, seconds=45)
        assert waited["needs"] == "analyse" and waited["measurements"]
        status = await agent("status")
        assert [e["id"] for e in status["experiments"]][:2] == [first, second]
        await agent("analyse", experiment=second, **LESSON)
        await agent.whole(3)
        assert await agent.lab.until(lambda: agent.lab.ended or agent.lab.trouble, 60)
        status = await agent("status")
        assert status["budget"]["proposals_left"] == 0 and status["next"] == ["status()"]
        assert "ended" in await agent.refused("propose", name="more", base="linear", change="another one", **WORDS)
        board = await agent("leaderboard")
        assert {row["experiment"] for rows in board["leaderboard"].values() for row in rows} >= {first}
    with Archive.open(tmp_path, readonly=True) as archive:
        found = {e.id: e for e in archive.experiments() if e.id in (first, second)}
        assert archive.campaigns()[0].status == "finished"
    assert all(len({(s.stage, s.rung, s.seed) for s in e.stages}) == len(e.stages) for e in found.values())
    assert all(e.analysis is not None and e.analysis.why == LESSON["why"] for e in found.values())
    assert all(e.candidate is not None and e.candidate.author == "seat (over MCP)" for e in found.values())


async def test_what_is_known_is_read_compactly(tmp_path: Path) -> None:
    async with an_agent(tmp_path) as agent:
        ident = await agent.whole(1)
        brief = await agent("brief")
        assert brief["metric"] == "bits_per_byte" and brief["higher_is_better"] is False
        read = await agent("read_experiment", id=ident)
        assert read["source"] == source(1) and read["hypothesis"]["base"] == "c1-gated_delta"
        assert (await agent("read_experiment", id="linear"))["role"] == "baseline"
        context = await agent("context", max_tokens=2_000)
        assert ident in context["context"] and len(context["context"]) < 2_600 * 4
        assert (await agent("recall", query="forget gates", kind="analysis"))["found"] is not None
        assert (await agent("principles"))["principles"] == []
        for answer in (read, context, await agent("status"), await agent("leaderboard")):
            text = json.dumps(answer)
            assert '"seed"' not in text and '"fresh"' not in text and "decide" not in text


async def test_no_tool_and_no_resource_tells_a_value_that_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contexts, "Arithmetic", contexts.Marked)
    told: list[str] = []
    async with an_agent(tmp_path) as agent:
        idents = [await agent.whole(n) for n in (1, 2, 3)]
        assert await agent.lab.until(lambda: agent.lab.ended or agent.lab.trouble, 60)
        baselines = [row["id"] for row in (await agent("status"))["baselines"]]
        for ident in (*idents, *baselines):
            told += [json.dumps(await agent(tool, **{word: ident})) for tool, word in
                     (("read_experiment", "id"), ("wait", "experiment"))]  # fmt: skip
            told.append(str(await agent.client.read_resource(f"experiment://{ident}")))
        for tool in ("brief", "context", "status", "leaderboard", "principles"):
            told.append(json.dumps(await agent(tool)))
        told.append(json.dumps(await agent("recall", query="forget gates")))
    with Archive.open(tmp_path, readonly=True) as archive:
        fresh = [m.value for e in archive.experiments() for m in e.measurements if m.fresh]
    assert len(fresh) >= 6 and all(contexts.DECIDING.search(f"{value:.3g}") for value in fresh)
    assert not [text for text in told if contexts.DECIDING.search(text)]
    assert any("fresh seeds" in text for text in told)  # the verdict is told


async def test_resources_are_experiments_and_papers(tmp_path: Path) -> None:
    async with an_agent(tmp_path) as agent:
        ident = await agent.whole(1)
        templates = await agent.client.list_resource_templates()
        assert {t.uri_template for t in templates.resource_templates} == {"experiment://{id}", "paper://{key}"}
        found = await agent.client.read_resource(f"experiment://{ident}")
        assert json.loads(found.contents[0].text)["id"] == ident  # type: ignore[union-attr]


async def test_every_tool_and_argument_is_as_promised(tmp_path: Path) -> None:
    async with an_agent(tmp_path) as agent:
        tools = {t.name: set(t.input_schema["properties"]) for t in (await agent.client.list_tools()).tools}
    assert tools == {
        "brief": set(),
        "context": {"max_tokens"},
        "recall": {"query", "kind"},
        "read_experiment": {"id"},
        "propose": {"name", "base", "motivation", "change", "predicted_effect"},
        "check": {"source"},
        "submit": {"proposal", "source"},
        "wait": {"experiment", "seconds"},
        "status": set(),
        "analyse": {"experiment", "expected", "seen", "why", "next"},
        "leaderboard": {"steps"},
        "principles": set(),
        "stop": set(),
    }


async def test_a_client_that_skips_proposing_is_told_to(tmp_path: Path) -> None:
    async with an_agent(tmp_path) as agent:
        assert "call propose first" in await agent.refused("submit", proposal="c1-001", source=source(1))
        assert "call propose first" in await agent.refused("submit", proposal="", source=source(1))
        assert "no experiment" in await agent.refused("analyse", experiment="c1-009", **LESSON)
        assert "no experiment" in await agent.refused("wait", experiment="c1-009")


async def test_the_same_file_twice_is_taken_once(tmp_path: Path) -> None:
    async with an_agent(tmp_path) as agent:
        ident = await agent.propose(1)
        await agent("submit", proposal=ident, source=source(1))
        assert "already" in await agent.refused("submit", proposal=ident, source=source(1))
        await agent("wait", experiment=ident, seconds=45)
        await agent("analyse", experiment=ident, **LESSON)
        assert "already" in await agent.refused("analyse", experiment=ident, **LESSON)


async def test_a_file_that_fails_a_gate_is_seen_before_and_after_it_counts(tmp_path: Path) -> None:
    bad = source(1) + "# BAD\n"
    async with an_agent(tmp_path) as agent:
        ident = await agent.propose(1)
        checked = await agent("check", source=bad)
        assert checked["passed"] is False and checked["gates"][0]["message"] == "the output has another shape"
        assert (await agent("check", source=source(1)))["passed"] is True
        await agent("submit", proposal=ident, source=bad)
        waited = await agent("wait", experiment=ident, seconds=45)
        assert waited["state"] == "failed" and waited["needs"] == "analyse" and waited["gates"]
        (row,) = (await agent("status"))["experiments"]
        for told in (waited, row, await agent("read_experiment", id=ident)):  # which gate, and nobody who took no part
            assert told["reason"] == "gate shape: the output has another shape"
            assert "refused by shape" in told.get("advice", "refused by shape")
        assert "propose again" in waited["advice"] and waited["next"] == [f"analyse(experiment={ident!r}, ...)"]
        await agent("analyse", experiment=ident, **LESSON)
        said = await agent.refused("propose", name="mended", base=ident, change="the same, mended", **WORDS)
        assert "what it was made from, c1-gated_delta" in said
        said = await agent.refused("submit", proposal=ident, source=source(1))
        assert "submitted already" in said
    with Archive.open(tmp_path, readonly=True) as archive:
        assert not [m for m in archive.lines(ident) if "Debugger" in (m.source, m.to)]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("check", {"source": "x" * 1_000_000}),
        ("check", {"source": ""}),
        ("recall", {"query": "x" * 1_000_000}),
        ("recall", {"query": "gates", "kind": "gossip"}),
        ("propose", {"name": "x" * 1_000_000, "base": "linear", "change": "anything", **WORDS}),
        ("propose", {"name": "ok_name", "base": "nobody", "change": "anything", **WORDS}),
        ("propose", {"name": "", "base": "linear", "change": "anything", **WORDS}),
        ("read_experiment", {"id": "../../etc/passwd"}),
        ("leaderboard", {"steps": -1}),
        ("wait", {"experiment": "c1-001", "seconds": "soon"}),
        ("propose", {}),
        ("train", {"seed": 3}),
    ],
)
async def test_what_cannot_be_used_is_a_sentence_and_nothing_is_lost(
    tool: str, arguments: dict[str, Any], tmp_path: Path
) -> None:
    async with an_agent(tmp_path) as agent:
        try:
            result = await agent.client.call_tool(tool, arguments)
            said = "".join(getattr(part, "text", "") for part in result.content)
            assert result.is_error
        except Exception as error:  # an unknown tool is refused by the protocol itself
            said = str(error)
        assert said and "Traceback" not in said and len(said) < 3_000
        assert await agent.whole(1) == "c1-001"


ODD: dict[str, Any] = {
    "nothing": None, "a number": 5, "less than nothing": -1, "huge": 10**30, "no number": float("nan"),
    "without end": float("inf"), "yes": True, "empty": "", "space": " \n", "signs": "\u202e\x00\x1b[31m", "list": [1],
    "object": {"a": 1}, "word": "soon", "fraction": 1.5,
}  # fmt: skip


async def test_every_argument_of_every_tool_in_every_wrong_form_is_a_sentence_with_what_may_be_done(
    tmp_path: Path,
) -> None:
    async with an_agent(tmp_path) as agent:
        ident = await agent.propose(1)
        named = dict.fromkeys(("id", "experiment", "proposal"), ident)
        usual = {
            **named,
            "source": "x = 1",
            "query": "gates",
            "seconds": 0,
            "name": "again",
            "base": "x",
            **WORDS,
            **LESSON,
        }
        for tool in (await agent.client.list_tools()).tools:
            fields = tool.input_schema["properties"]
            given = {n: usual.get(n, "a different idea") for n in tool.input_schema.get("required", [])}
            cases = [given | {name: odd} for name in fields for odd in ODD.values()]
            cases += [given | {"seed": 3}, given | {"x" * 500: "y" * 500}, *({} for _ in given)]
            for case in cases if tool.name != "propose" else [c for c in cases if c.get("base") == "x"]:
                result = await agent.client.call_tool(tool.name, case)
                said = "".join(getattr(part, "text", "") for part in result.content)
                assert result.structured_content is not None and result.structured_content["next"], (tool.name, case)
                if result.is_error:
                    assert len(said) < 700 and "\n" not in said and "pydantic" not in said, (tool.name, case, said)
                    assert "Error executing" not in said and "input_value" not in said
                if "seed" in case or not {*tool.input_schema.get("required", [])} <= case.keys():
                    assert result.is_error and ("it takes" in said), (tool.name, case, said)
        assert "there are brief, context" in await agent.refused("train", seed=3)
        assert (await agent("context", max_tokens=None))["context"] and (await agent("recall", query="x", kind=None))


async def test_a_fault_of_ours_in_a_tool_is_a_sentence_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> Any:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr("move37.app.mcp.tools.Tools.recall", broken)
    async with an_agent(tmp_path) as agent:
        said = await agent.refused("recall", query="gates")
        assert "a fault of move37 itself in recall (ZeroDivisionError)" in said and "secret" not in said
        assert await agent.whole(1) == "c1-001"


@pytest.mark.parametrize("where", ["an answer", "a refusal"])
async def test_half_a_surrogate_in_what_a_candidate_says_costs_a_letter_and_no_server(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def said(*_: Any) -> Any:
        if where == "a refusal":
            raise CallRefused("it says \ud800")
        return {"found": ["it says \ud800"], "next": [], "budget": {}}

    monkeypatch.setattr("move37.app.mcp.tools.Tools.recall", said)
    async with an_agent(tmp_path) as agent:
        result = await agent.client.call_tool("recall", {"query": "gates"})
        assert "it says ?" in json.dumps(result.structured_content)
        assert await agent.whole(1) == "c1-001"


async def test_two_clients_at_once_share_one_campaign(tmp_path: Path) -> None:
    lab = Laboratory(load({"home": tmp_path, "budget": "3", "workers": 2}))
    async with lab.opened():
        server = build(lab, own=False)
        async with Client(server) as one, Client(server) as two:
            first, second = await asyncio.gather(Agent(one).propose(1), Agent(two).propose(2))
            assert {first, second} == {"c1-001", "c1-002"}
            assert "no place is free" in await _hurried(lab, Agent(one))
            await Agent(two)("submit", proposal=first, source=source(1))
            assert "already" in await Agent(one).refused("submit", proposal=first, source=source(9))


async def _hurried(lab: Laboratory, agent: Agent) -> str:
    import move37.app.mcp.tools as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "A_WHILE", 0.2)
        return await agent.refused("propose", name="third", base="linear", change="one more idea", **WORDS)


async def test_a_home_in_use_is_told_and_not_a_dead_server(tmp_path: Path) -> None:
    async with an_agent(tmp_path) as agent:
        await agent("status")
        async with an_agent(tmp_path) as other:
            status = await other("status")
            assert status["state"] == "trouble" and "another campaign" in status["why"]
            assert "another campaign" in await other.refused(
                "propose", name="third", base="linear", change="idea", **WORDS
            )


async def test_stop_ends_softly_and_the_next_session_goes_on(tmp_path: Path) -> None:
    async with an_agent(tmp_path) as agent:
        ident = await agent.propose(1)
        await agent("stop")
    async with an_agent(tmp_path) as agent:
        status = await agent("status")
        assert status["experiments"][0]["id"] == ident
        await agent("submit", proposal=ident, source=source(1))


async def test_a_base_that_was_ruled_out_is_refused(tmp_path: Path) -> None:
    lab = Laboratory(load({"home": tmp_path, "budget": "3"}))
    lab.inbox.direct("ban", "linear")
    async with Client(build(lab)) as client:
        agent = Agent(client)
        said = await agent.refused("propose", name="third", base="linear", change="one more idea", **WORDS)
        assert "the user has ruled out linear as a base" in said
        assert await agent.propose(1, base="gated_delta") == "c1-001"

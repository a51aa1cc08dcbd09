"""Tools: what an agent may ask is answered with facts or with a sentence, is stored and counted, and always ends."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from autogen_core import CancellationToken

from move37.agents import campaign
from move37.agents.context import CampaignContext
from move37.agents.dialogue import results_of
from move37.agents.language_model import LanguageModel
from move37.agents.lookups import _curve
from move37.agents.models.calls import LONGEST_CALL
from move37.agents.models.calls import MOST_CALLS as MOST_IN_A_REPLY
from move37.agents.open_experiment import open_experiment
from move37.agents.roles import MEMBERS
from move37.agents.tools import MOST_CALLS, for_role
from move37.app.mcp.views import whole
from move37.app.views.spending import usage_by_role
from move37.lab.archive.live import Curve
from move37.lab.archive.message import TOOLS
from move37.lab.records import Brief, Effects, ExperimentStatus, Role
from move37.memory.records import Entry, Recollection
from move37.sandbox.job import Job, Outcome, Status
from tests.agents.contexts import DECIDING, Marked, NoSandbox, Remembered, a_context, a_script
from tests.agents.models.server import completion
from tests.agents.scripted import a_proposal, a_report, accepted, offered
from tests.agents.test_learning import Script, a_run, candidates, role_of


class Printing(NoSandbox):
    """A sandbox in which every snippet prints a megabyte."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[Job] = []

    async def run(self, job: Job, *, on_output: Any = None) -> Outcome:
        self.jobs.append(job)
        return Outcome(job=job.id, status=Status.DONE, exit_code=0, stdout=b"x" * 1_000_000)


class Library(Remembered):
    async def paper(self, key: str) -> tuple[Entry, ...]:
        entry = Entry(key="2412.06464", number=0, origin="builtin", title="Gated Delta Networks", remedy="Use a gate.")
        return (entry,) if key == entry.key else ()


async def finished(home: Path, **changes: Any) -> CampaignContext:
    """A campaign of two candidates that has ended."""
    advice = (Recollection(key="2412.06464", kind="cognition", title="Gated Delta Networks", claim="gates help"),)
    context, _ = a_context(home, budget=2, memory=Library(advice=advice), sandbox=Printing(), **changes)
    await campaign.run(context)
    return context


def tools_of(context: CampaignContext, role: str) -> dict[str, Any]:
    ctx, _ = open_experiment(context, context.archive.experiment("c1-002"), lambda: "")
    return {tool.name: tool for tool in for_role(role, ctx)}


async def call(tool: Any, **arguments: Any) -> str:
    return str(await tool.run_json(arguments, CancellationToken()))


async def test_every_role_may_look_up_and_only_authors_may_try(tmp_path: Path) -> None:
    context = await finished(tmp_path)
    looking = {"recall", "read_paper", "read_experiment", "diff", "leaderboard", "curves"}
    assert set(tools_of(context, "Researcher")) == set(tools_of(context, "Critic")) == looking
    assert set(tools_of(context, "Engineer")) == set(tools_of(context, "Debugger")) == looking | {"check", "run"}
    assert set(tools_of(context, "Analyst")) == looking | {"compare"}


async def test_what_is_known_is_answered_with_facts(tmp_path: Path) -> None:
    tools = tools_of(await finished(tmp_path), "Analyst")
    assert "gates help" in await call(tools["recall"], query="writes drown", kind="cognition")
    assert "Use a gate." in await call(tools["read_paper"], id="2412.06464")
    told = await call(tools["read_experiment"], id="c1-001")
    assert "floor_on_decay" in told and "from c1-linear" in told and "bits_per_byte" in told and "```python" in told
    assert "-class Mixer: linear" in await call(tools["diff"], old="linear", new="c1-001")
    assert "c1-001" in await call(tools["leaderboard"], steps=100)
    assert " at " in await call(tools["compare"], one="c1-001", other="c1-linear")
    assert "No loss curve" in await call(tools["curves"], id="c1-001")


async def test_an_experiment_that_is_only_talked_about_says_so(tmp_path: Path) -> None:
    context = await finished(tmp_path)
    context.archive.begin_experiment(1, 3, Role.CANDIDATE)
    told = await call(tools_of(context, "Researcher")["read_experiment"], id="c1-003")
    assert told == "c1-003 is running, and has no hypothesis so far."


async def test_a_number_is_told_once_with_its_rate_and_a_curve_to_its_end(tmp_path: Path) -> None:
    context = await finished(tmp_path)
    tools = tools_of(context, "Analyst")
    told = await call(tools["read_experiment"], id="c1-001")
    assert "at 100 steps, seed 0, rate 0.01" in told and "Primary metric" not in told
    assert "1 seed." in await call(tools["compare"], one="c1-001", other="c1-linear")
    run = Curve(experiment="c1-001", rung="lm@100", seed=0, steps=tuple(range(100)), losses=(3.0,) * 99 + (2.5,))
    assert _curve(run).startswith("lm@100, seed 0") and _curve(run).endswith("99: 2.5")
    assert _curve(replace(run, steps=(1,), losses=(3.0,))).endswith(": 1: 3")


@pytest.mark.parametrize(
    "tool, arguments, word",
    [
        ("recall", {"query": "x", "kind": "gossip"}, "no kind 'gossip'"),
        ("recall", {"query": "  "}, "empty"),
        ("read_paper", {"id": "9999.99999"}, "no paper '9999.99999'"),
        ("read_experiment", {"id": "c9-999"}, "the newest are"),
        ("diff", {"old": "c9-999", "new": "c1-001"}, "no experiment 'c9-999'"),
        ("leaderboard", {"steps": 7}, "there are 100"),
        ("curves", {"id": "nothing"}, "no experiment 'nothing'"),
        ("compare", {"one": "c1-001", "other": "zzz"}, "no experiment 'zzz'"),
    ],
)
async def test_a_wrong_argument_gets_a_sentence(tmp_path: Path, tool: str, arguments: Any, word: str) -> None:
    assert word in await call(tools_of(await finished(tmp_path), "Analyst")[tool], **arguments)


async def test_nobody_who_proposes_writes_or_explains_reads_a_value_that_decides(tmp_path: Path) -> None:
    client = a_script()
    client.calls_tools = True
    context, _ = a_context(tmp_path, client, budget=4, task=Marked())
    await campaign.run(context)
    context.archive.begin_campaign(Brief(budget=2))  # which reads all of the first one
    again, _ = a_context(tmp_path, client, archive=context.archive, task=Marked())
    await campaign.run(again)
    experiments = context.archive.experiments()
    fresh = [m.value for e in experiments for m in e.measurements if m.fresh]
    assert len(fresh) >= 6 and all(DECIDING.search(f"{value:.3g}") for value in fresh)

    for kind, texts in client.heard:
        assert not DECIDING.search("\n".join(texts)), kind
    assert any("Verdict: " in "\n".join(texts) for kind, texts in client.heard if kind == "Report")
    ctx, _ = open_experiment(again, again.archive.experiment("c2-002"), lambda: "")
    for e in experiments:
        for role in (m.name for m in MEMBERS):
            for tool in for_role(role, ctx):
                fields = tool.schema["parameters"]["properties"]
                others = {"steps": 200, "kind": "any", "source": "x = 1", "snippet": "1"}
                if tool.name in ("check", "run"):
                    continue  # they read nothing of the archive
                told = await call(tool, **{name: others.get(name, e.id) for name in fields})
                assert not DECIDING.search(told), (role, tool.name, e.id)
        assert not DECIDING.search(str(results_of(ctx, e))) and not DECIDING.search(json.dumps(whole(e, Effects())))
    remembered = [str(lesson) for lesson in context.memory.lessons]  # type: ignore[attr-defined]
    assert remembered and not any(DECIDING.search(lesson) for lesson in remembered)


async def test_a_file_may_be_tried_and_a_snippet_run_within_limits(tmp_path: Path) -> None:
    context = await finished(tmp_path)
    tools = tools_of(context, "Engineer")
    assert "the output has another shape" in await call(tools["check"], source="BAD = 1")
    assert "All gates let it through" in await call(tools["check"], source="class Mixer: ...")
    printed = await call(tools["run"], snippet="print('x' * 1_000_000)")
    assert "exit status 0" in printed and "cut: 1000000 characters" in printed and len(printed) < 6_000
    job = context.sandbox.jobs[0]  # type: ignore[attr-defined]
    assert job.limits.wall_seconds == 60.0 and job.files["main.py"].startswith(b"print")
    assert "longer than" in await call(tools["check"], source="x" * 200_000)
    assert "Line 1 holds" in await call(tools["check"], source="x = '\ud83d'")
    assert "exit status 0" in await call(tools["run"], snippet="print('\ud83d')")


async def test_a_file_is_tried_beside_all_that_the_archive_holds_as_the_gates_will(tmp_path: Path) -> None:
    context = await finished(tmp_path)
    plain, beside = context.task.check, set[str]()

    async def check(candidate: Any, **how: Any) -> Any:
        beside.update(known.experiment for known in how["known"])
        return await plain(candidate, **how)

    context.task.check = check  # type: ignore[method-assign]
    await call(tools_of(context, "Engineer")["check"], source="class Mixer: ...")
    assert {"c1-001", "c1-linear"} <= beside and "c1-002" not in beside, "its own file is none of them"


async def test_a_hundred_calls_are_answered_until_they_are_too_many(tmp_path: Path) -> None:
    context = await finished(tmp_path)
    tools = tools_of(context, "Researcher")
    answers = [await call(tools["leaderboard"], steps=100) for _ in range(100)]
    assert sum("answer now" in a for a in answers) == 100 - MOST_CALLS


def asking(name: str, **arguments: Any) -> list[tuple[str, str]]:
    return [(name, json.dumps(arguments))]


async def test_calls_are_stored_shown_and_followed_by_an_answer(tmp_path: Path) -> None:
    client = a_script(Report=[asking("leaderboard", steps=100), asking("invented", x=1), a_report()])
    client.calls_tools = True
    context, _ = a_context(tmp_path, client, budget=1)
    await campaign.run(context)
    lines = [m for m in context.archive.lines("c1-001") if m.to == "tools"]
    assert [m.source for m in lines][:2] == ["Analyst", "Analyst"]
    assert lines[0].text.startswith('leaderboard({"steps": 100}) -> ') and "There is no tool" in lines[1].text
    heard = [texts for kind, texts in client.heard if kind == "Report"]
    assert any("1. c1-" in text for text in heard[1])
    analysis = context.archive.experiment("c1-001").analysis
    assert analysis is not None and analysis.author == "scripted"


async def test_a_model_that_only_calls_tools_has_to_answer_in_the_end(tmp_path: Path) -> None:
    client = a_script(Critique=[*[asking("leaderboard", steps=100)] * 6, accepted()], Proposal=a_proposal())
    client.calls_tools = True
    context, _ = a_context(tmp_path, client, budget=1)
    await campaign.run(context)
    (experiment,) = [e for e in context.archive.experiments() if e.role is Role.CANDIDATE]
    assert experiment.status is not ExperimentStatus.FAILED and experiment.measurements
    asked = [tools for (kind, _), tools in zip(client.heard, client.tools, strict=True) if kind == "Critique"]
    assert len(asked) == 7 and asked[-1] == []


async def test_a_model_without_tools_is_given_none(tmp_path: Path) -> None:
    client = a_script()
    context, _ = a_context(tmp_path, client, budget=1)
    await campaign.run(context)
    assert not any(client.tools) and not any(m.to == TOOLS for m in context.archive.lines("c1-001"))


async def test_a_model_is_asked_once_whether_it_counts_tokens(tmp_path: Path) -> None:
    # OpenAI's client asks the network for a file first, and an event loop that waits for that waits with everybody.
    asked: list[Any] = []

    def offline(messages: Any, **_: Any) -> int:
        asked.append(messages)
        raise OSError("no network")

    client = a_script()
    client.count_tokens = offline  # type: ignore[method-assign]
    context, _ = a_context(
        tmp_path,
        scientists=dict.fromkeys((m.name for m in MEMBERS), LanguageModel(client, signature="scripted")),
        budget=2,
    )
    await campaign.run(context)
    assert len(asked) == 1
    assert all(e.measurements for e in context.archive.experiments())


async def test_no_tools_are_made_where_nobody_speaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, str]] = []

    def counted(role: str, ctx: Any) -> Any:
        made.append((ctx.id, role))
        return for_role(role, ctx)

    monkeypatch.setattr("move37.agents.tools.for_role", counted)
    client = a_script()
    client.calls_tools = True
    context, _ = a_context(tmp_path, client, budget=2)
    await campaign.run(context)
    assert set(made) == {(e, m.name) for e in ("c1-001", "c1-002") for m in MEMBERS}  # and of no baseline


async def test_a_hundred_calls_in_one_reply_and_tools_that_do_not_exist_cost_a_turn_and_nothing_else(
    tmp_path: Path,
) -> None:
    """Over HTTP, as a call of the tool protocol, or in the text: the model hears which tools there are, and goes on."""

    def calling(*names: str) -> Any:
        calls = [
            {"id": f"t{n}", "type": "function", "function": {"name": name, "arguments": '{"steps": 100}'}}
            for n, name in enumerate(names)
        ]
        return completion(None, tool_calls=calls)

    in_the_text = '<tool_call>{"name": "web_search", "arguments": {"q": "mixers"}}</tool_call>'
    turns = [calling(*["leaderboard"] * 100), calling("invented", "rm -rf", ""), in_the_text]

    def researcher(number: int, times: int, request: dict[str, Any]) -> Any:
        return turns[times - 1] if times <= len(turns) else Script.usual("Researcher", number)

    with a_run(tmp_path, Script(Researcher=researcher), budget=2) as (context, requests):
        assert (await campaign.run(context)).status == "finished"
    heard = [answers_in(r) for r in requests if role_of(r) == ("Researcher", 2)]
    hundred, three, one = (after[len(before) :] for before, after in pairwise(heard))
    assert len(hundred) == MOST_IN_A_REPLY and sum("answer now" in a for a in hundred) == MOST_IN_A_REPLY - MOST_CALLS
    assert [a.partition(":")[0] for a in (*three, *one)] == [
        f"There is no tool {name!r}" for name in ("invented", "rm_-rf", "unnamed", "web_search")
    ]
    assert all("there are recall, read_paper, " in a for a in (*three, *one))
    assert [e.name for e in candidates(context)] == ["floor_1", "floor_2"]
    spent = usage_by_role(context.archive.calls(1), context.archive.lines(campaign=1))
    assert {u.role: u.tool_calls for u in spent if u.tool_calls} == {"Researcher": 2 * (MOST_IN_A_REPLY + 3 + 1)}
    assert all(e.measurements and e.analysis for e in candidates(context))


async def test_beside_a_tool_that_exists_one_that_does_not_gets_a_sentence_and_so_do_wrong_arguments(
    tmp_path: Path,
) -> None:
    calls = [
        ("leaderboard", '{"steps": 100}'), ("leaderbord", "{}"), ("leaderboard", '{"steps": "all"}'),
        ("leaderboard", "[]"), ("leaderboard", "{steps"), ("leaderboard", '{"steps": 1e999}'),
        ("leaderboard", '{"steps": ' + "9" * 5_000 + "}"), ("leaderboard", "[" * 50_000),
    ]  # fmt: skip
    client = a_script(Proposals=[calls, offered(a_proposal())])
    client.calls_tools = True
    context, _ = a_context(tmp_path, client, budget=1)
    await campaign.run(context)
    results = [texts for kind, texts in client.heard if kind == "Proposals"][1][-1]
    assert "1. " in results and "There is no tool 'leaderbord': there are recall, " in results
    assert results.count("leaderboard takes one JSON object with steps (integer), not") == 6
    assert "pydantic" not in results and "workbench" not in results


@pytest.mark.parametrize("size", [LONGEST_CALL - 20, LONGEST_CALL, 10 * LONGEST_CALL])
async def test_arguments_without_end_are_called_too_long_and_do_not_travel_on(size: int, tmp_path: Path) -> None:
    calls = [
        {"id": "t", "type": "function", "function": {"name": "recall", "arguments": f'{{"query": "{"x" * size}"}}'}}
    ]

    def researcher(number: int, times: int, request: dict[str, Any]) -> Any:
        return completion(None, tool_calls=calls) if times == 1 else Script.usual("Researcher", number)

    with a_run(tmp_path, Script(Researcher=researcher), budget=1) as (context, requests):
        await campaign.run(context)
    second = [r for r in requests if role_of(r)[0] == "Researcher"][1]
    (heard,), too_long = answers_in(second), size + 13 > LONGEST_CALL
    told = f"The arguments of recall are too long ({size + 13} characters): at most {LONGEST_CALL}."
    assert (heard == told) is too_long, heard
    assert (len(str(second["messages"][-2])) < 500) is too_long


async def test_calls_of_one_reply_that_a_server_gave_one_id_are_told_apart(tmp_path: Path) -> None:
    asked = [("leaderboard", '{"steps": 100}'), ("read_experiment", '{"id": "linear"}'), ("curves", '{"id": "linear"}')]
    calls = [{"id": "t1", "type": "function", "function": {"name": n, "arguments": a}} for n, a in asked]

    def researcher(number: int, times: int, request: dict[str, Any]) -> Any:
        return completion(None, tool_calls=calls) if times == 1 else Script.usual("Researcher", number)

    with a_run(tmp_path, Script(Researcher=researcher), budget=1) as (context, requests):
        await campaign.run(context)
    said = [m.text.partition(" -> ")[0] for m in context.archive.lines("c1-001") if m.to == TOOLS]
    assert said == [f"{name}({arguments})" for name, arguments in asked]
    second = [r for r in requests if role_of(r)[0] == "Researcher"][1]
    answered = [m["tool_call_id"] for m in second["messages"] if m["role"] == "tool"]
    assert len({*answered}) == 3 and [c["id"] for c in second["messages"][-4]["tool_calls"]] == answered


def answers_in(request: dict[str, Any]) -> list[str]:
    return [str(m["content"]) for m in request["messages"] if m["role"] == "tool"]

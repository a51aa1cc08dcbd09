"""What was found reaches who proposes: a campaign over real HTTP, and the requests that a server saw.

The server answers each role by script; the tokens of its requests by role are what docs/figures/society.md tells.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from move37.agents import campaign
from move37.agents.context import CampaignContext
from move37.agents.context_builder import task_card
from move37.agents.language_model import LanguageModel
from move37.agents.ledger import pool
from move37.agents.models import ModelOptions, open_model, signature
from move37.agents.rendering import front
from move37.agents.replies import LONGEST_WORDS, MOST_LISTED, Principles
from move37.agents.roles import MEMBERS
from move37.app.views.spending import spending_section, usage_by_role
from move37.lab.effects import effect_between
from move37.lab.records import BITS_PER_BYTE, Experiment, ExperimentStatus, Role
from tests.agents.contexts import Arithmetic, a_context
from tests.agents.models.server import completion, serving
from tests.agents.scripted import a_fix, a_proposal, a_report, accepted, offered, some_code

ROLE = re.compile(r"# Your role: (\w+), experiment c1-(\d+)")


def text_of(request: dict[str, Any]) -> str:
    return "\n".join(str(m["content"]) for m in request["messages"])


def role_of(request: dict[str, Any]) -> tuple[str, int]:
    found = ROLE.findall(text_of(request))
    return (found[-1][0], int(found[-1][1])) if found else ("", 0)


class Script:
    """What the model says; a test may change one answer."""

    def __init__(self, **changes: Any) -> None:
        self._changes = changes
        self.asked: list[tuple[str, int]] = []

    def __call__(self, request: dict[str, Any]) -> tuple[int, Any]:
        role, number = role_of(request)
        self.asked.append((role, number))
        if role in self._changes:
            answer = self._changes[role](number, self.asked.count((role, number)), request)
            return 200, answer if isinstance(answer, str | dict) else answer.model_dump_json()
        return 200, self.usual(role, number).model_dump_json()

    @staticmethod
    def usual(role: str, number: int) -> Any:
        lesson = f"lesson of {number}: the floor of size {number} decides"
        return {
            "Researcher": offered(a_proposal(name=f"floor_{number}", change=f"a floor of size {number}")),
            "Critic": accepted(),
            "Engineer": some_code(f"class Mixer:\n    floor = {number}\n"),
            "Debugger": a_fix(),
            "Analyst": a_report(lesson=lesson),
        }.get(role, Principles())


@contextmanager
def a_run(home: Path, script: Script, budget: int = 3) -> Iterator[tuple[CampaignContext, list[dict[str, Any]]]]:
    """A campaign, one experiment after the other, with OpenAI's client over a server of ours."""
    with serving(script) as (url, requests):
        client = open_model("openai:tiny", ModelOptions(base_url=url))
        somebody = LanguageModel(client, signature=signature(client))
        context, _ = a_context(
            home, budget=budget, workers=1, task=Arithmetic(), scientists={m.name: somebody for m in MEMBERS}
        )
        yield context, requests


def candidates(context: CampaignContext) -> list[Experiment]:
    return [e for e in context.archive.experiments() if e.role is Role.CANDIDATE]


async def test_the_third_researcher_is_told_what_the_first_two_experiments_taught(tmp_path: Path) -> None:
    with a_run(tmp_path, Script()) as (context, requests):
        await campaign.run(context)
    everything = context.archive.experiments()
    first, second, _ = candidates(context)
    (asked,) = [r for r in requests if role_of(r) == ("Researcher", 3)]
    text = text_of(asked)
    (linear,) = [e for e in everything if e.id == "c1-linear"]
    effects = {e.id: effect_between(e, linear, BITS_PER_BYTE, steps=100) for e in (first, second)}
    for experiment in (first, second):
        effect = effects[experiment.id]
        assert effect is not None and effect.rival == "c1-linear"
        number = experiment.number
        for expected in (
            f"{experiment.id} floor_{number}, from c1-linear: a floor of size {number}",
            f"{effect.value:+.3f}",
            f"Lesson: lesson of {number}: the floor of size {number} decides",
        ):
            assert expected in text, expected
    better = max((first, second), key=lambda e: effects[e.id].value)  # type: ignore[union-attr]
    assert f"What {better.id} changed in c1-linear" in text and f"+    floor = {better.number}" in text
    assert "Chosen because: " in text and "Its analysis says to try: more seeds" in text
    assert "--- c1-linear" in text and "-class Mixer: linear" in text


async def test_a_message_names_its_speaker_although_the_server_drops_names(tmp_path: Path) -> None:
    with a_run(tmp_path, Script(), budget=1) as (context, requests):
        await campaign.run(context)
    (critic,) = [r for r in requests if role_of(r)[0] == "Critic"]
    openings = [str(m["content"]).partition("\n")[0] for m in critic["messages"] if m["role"] == "user"]
    assert openings == ["Lab:", "Researcher:", "Lab:"]


async def test_what_the_provider_had_cached_is_stored_and_shown_by_role(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 1_000, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 750}}

    def researcher(number: int, times: int, request: dict[str, Any]) -> Any:
        return completion(Script.usual("Researcher", number).model_dump_json()) | {"usage": usage}

    with a_run(tmp_path, Script(Researcher=researcher), budget=1) as (context, _):
        await campaign.run(context)
        calls = context.archive.calls(1)
    by_role = {u.role: u for u in usage_by_role(calls)}
    assert (by_role["Researcher"].cached, by_role["Researcher"].hits) == (0.75, 1.0)
    assert by_role["Engineer"].cached is None  # nothing was said: no share, and not a share of zero
    table = spending_section(calls).table
    assert table is not None and "75%" in [cell.text for cell in table.rows[0]]


async def test_every_role_has_the_same_front_so_that_it_can_be_cached(tmp_path: Path) -> None:
    with a_run(tmp_path, Script(), budget=1) as (context, requests):
        await campaign.run(context)
    same = front(task_card(context))
    assert "A class named Mixer." in same
    assert all(str(r["messages"][0]["content"]).startswith(same) for r in requests)


async def test_edits_are_applied_to_the_base_and_one_that_fits_nowhere_is_told(tmp_path: Path) -> None:
    def engineer(number: int, times: int, request: dict[str, Any]) -> Any:
        search = "no such line" if times == 1 else "linear"
        return some_code("", edits=[{"search": search, "replace": "linear with a floor"}])

    with a_run(tmp_path, Script(Engineer=engineer), budget=1) as (context, requests):
        await campaign.run(context)
    (experiment,) = candidates(context)
    assert experiment.candidate is not None
    assert experiment.candidate.source == "class Mixer: linear with a floor"
    second = text_of([r for r in requests if role_of(r)[0] == "Engineer"][1])
    assert "Edit 1 was not applied: its `search` stands nowhere in the file ('no such line')" in second
    assert "refused" not in second.partition("Your last answer made no file")[2], "nothing was handed in yet"
    assert second.count("class Mixer: linear") == 1, "the base stands above already"


async def test_a_file_of_200_kb_is_refused_with_a_sentence_and_nothing_is_lost(tmp_path: Path) -> None:
    def engineer(number: int, times: int, request: dict[str, Any]) -> Any:
        return some_code("x = 1\n" * 40_000)

    with a_run(tmp_path, Script(Engineer=engineer), budget=2) as (context, _):
        assert (await campaign.run(context)).status == "finished"
    assert all(e.status is ExperimentStatus.FAILED for e in candidates(context))
    assert all("longer than" in e.reason and e.analysis is not None for e in candidates(context))


async def test_a_citation_of_an_experiment_that_does_not_exist_and_a_repetition_get_a_sentence(tmp_path: Path) -> None:
    def researcher(number: int, times: int, request: dict[str, Any]) -> Any:
        if number == 2 and times == 1:
            return offered(a_proposal(cites=["c1-777"], base="c9-nobody"))
        if number == 2 and times == 2:
            return Script.usual("Researcher", 1)
        return Script.usual("Researcher", number)

    with a_run(tmp_path, Script(Researcher=researcher), budget=2) as (context, requests):
        await campaign.run(context)
    second, third = [text_of(r) for r in requests if role_of(r) == ("Researcher", 2)][1:]
    assert (
        "it cites c1-777, which does not exist: leave it out." in second
        and "its base 'c9-nobody' does not exist" in second
    )
    assert "one of gated_delta, linear" in second and "c1-001 (floor_1) proposed the same change" in third
    assert candidates(context)[1].hypothesis and candidates(context)[1].hypothesis.name == "floor_2"  # type: ignore[union-attr]


async def test_ideas_that_were_not_chosen_stay_in_a_pool_until_one_is_taken_up(tmp_path: Path) -> None:
    def researcher(number: int, times: int, request: dict[str, Any]) -> Any:
        if number == 1:
            return offered(*(a_proposal(name=f"idea_{n}", change=f"a floor number {n}") for n in (1, 2, 3)))
        idea = a_proposal(name="taken_up", change="a floor number 2, shorter", idea="c1-001.1")
        return offered(idea) if number == 2 else Script.usual("Researcher", number)

    ranking = [{"name": name, "reason": f"reason of {name}"} for name in ("idea_3", "idea_2", "idea_1")]

    def critic(number: int, times: int, request: dict[str, Any]) -> Any:
        return accepted(ranking=ranking if number == 1 else [])

    with a_run(tmp_path, Script(Researcher=researcher, Critic=critic)) as (context, requests):
        await campaign.run(context)
    assert candidates(context)[0].name == "idea_3"
    second, third = (text_of(r) for r in requests if role_of(r) in (("Researcher", 2), ("Researcher", 3)))
    assert "[c1-001.1] idea_2" in second and "reason of idea_2" in second and "[c1-001.2] idea_1" in second
    assert "[c1-001.1]" not in third and "[c1-001.2] idea_1" in third


async def test_an_idea_that_the_pool_lacks_is_answered_with_those_that_it_holds(tmp_path: Path) -> None:
    def researcher(number: int, times: int, request: dict[str, Any]) -> Any:
        if number == 1:
            return offered(*(a_proposal(name=f"idea_{n}", change=f"a floor number {n}") for n in (1, 2)))
        idea = "c1-001.7" if times == 1 else ""
        return offered(a_proposal(name="mine", change="a floor of another size", idea=idea))

    with a_run(tmp_path, Script(Researcher=researcher), budget=2) as (context, requests):
        await campaign.run(context)
    second = [text_of(r) for r in requests if role_of(r) == ("Researcher", 2)][1]
    assert "the pool holds no idea 'c1-001.7': leave `idea` empty, or name one of c1-001.1." in second


async def test_the_analyst_reads_what_the_file_changes_and_nothing_twice(tmp_path: Path) -> None:
    def engineer(number: int, times: int, request: dict[str, Any]) -> Any:
        return some_code(f"class Mixer:\n    floor = {number}\n" if number == 1 else "BAD = 1  # a Mixer\n")

    with a_run(tmp_path, Script(Engineer=engineer, Debugger=lambda *_: a_fix(give_up=True)), budget=2) as (c, requests):
        await campaign.run(c)
    first, second = (next(text_of(r) for r in requests if role_of(r) == ("Analyst", n)) for n in (1, 2))
    heard = first.partition("Measured:")[2]
    assert "What its file changes in its base's:" in heard and "-class Mixer: linear" in heard
    assert "+    floor = 1" in heard
    assert "c1-linear at the same steps:" in heard and "\nlinear at the same steps:" not in heard
    assert "gated_delta at the same steps:" in heard
    assert "Nothing was measured." in second and second.count("the output has another shape") == 1


async def test_the_base_that_a_hypothesis_names_is_its_parent(tmp_path: Path) -> None:
    def researcher(number: int, times: int, request: dict[str, Any]) -> Any:
        base = "c1-001" if number == 2 else "linear"
        return offered(a_proposal(base=base, change=f"a floor of size {number}"))

    with a_run(tmp_path, Script(Researcher=researcher), budget=2) as (context, _):
        await campaign.run(context)
    first, second = candidates(context)
    assert first.parents[0] == "c1-linear" and second.parents[0] == "c1-001"
    assert second.effects is not None and second.effects.parent is not None
    assert second.effects.parent.rival == "c1-001"


async def test_debugging_shows_the_gate_the_file_and_what_was_tried_before(tmp_path: Path) -> None:
    def engineer(number: int, times: int, request: dict[str, Any]) -> Any:
        return some_code("BAD = 1  # a Mixer\n")

    def debugger(number: int, times: int, request: dict[str, Any]) -> Any:
        if times == 1:
            return a_fix("BAD = 2  # a Mixer\n", diagnosis="I blame the shape.", learned="Shapes matter.")
        return a_fix("", edits=[{"search": "BAD = 2", "replace": "GOOD = 2"}])

    with a_run(tmp_path, Script(Engineer=engineer, Debugger=debugger), budget=1) as (context, requests):
        await campaign.run(context)
    (experiment,) = candidates(context)
    assert experiment.candidate is not None and experiment.candidate.source.startswith("GOOD = 2")
    second = [text_of(r) for r in requests if role_of(r)[0] == "Debugger"][1]
    assert "the output has another shape" in second and "BAD = 2" in second
    assert "Attempt 2 was refused.\nIt was written because: I blame the shape." in second
    assert "attempt 1 was refused by shape" in second.partition("Tried before")[2]


async def test_tools_are_offered_called_and_answered_over_http(tmp_path: Path) -> None:
    def analyst(number: int, times: int, request: dict[str, Any]) -> Any:
        if times > 1:
            return a_report()
        call = {"name": "read_experiment", "arguments": json.dumps({"id": "c1-001"})}
        return completion(None, tool_calls=[{"id": "t1", "type": "function", "function": call}])

    with a_run(tmp_path, Script(Analyst=analyst), budget=1) as (context, requests):
        await campaign.run(context)
    first, second = [r for r in requests if role_of(r)[0] == "Analyst"][:2]
    assert {t["function"]["name"] for t in first["tools"]} >= {"recall", "diff", "compare"}
    (answer,) = [m for m in second["messages"] if m["role"] == "tool"]
    assert "floor_1" in answer["content"] and candidates(context)[0].analysis is not None


# Bad input ------------------------------------------------------------------------------------------------------------


async def test_a_reply_of_a_megabyte_is_cut_at_words_before_anybody_else_has_to_read_it(tmp_path: Path) -> None:
    def researcher(number: int, times: int, request: dict[str, Any]) -> Any:
        said = json.loads(Script.usual("Researcher", number).model_dump_json())
        said["to_person"], said["ideas"][0]["motivation"] = "word " * 200_000, "because " * 100_000
        return json.dumps(said)

    def analyst(number: int, times: int, request: dict[str, Any]) -> Any:
        said = json.loads(a_report().model_dump_json())
        return json.dumps(said | {"symptoms": ["flat"] * 10_000, "seen": "s" * 200_000})

    with a_run(tmp_path, Script(Researcher=researcher, Analyst=analyst), budget=1) as (context, requests):
        await campaign.run(context)
    (one,) = candidates(context)
    assert one.measurements and one.analysis and one.hypothesis
    assert len(one.hypothesis.motivation) <= LONGEST_WORDS and one.hypothesis.motivation.endswith("because…")
    assert len(one.analysis.seen) <= LONGEST_WORDS and len(one.analysis.symptoms) == MOST_LISTED
    assert max(len(text_of(r)) for r in requests) < 60_000
    assert max(len(line.text) for line in context.archive.lines(one.id)) <= 2 * LONGEST_WORDS


async def test_ideas_of_one_name_are_sent_back_since_a_ranking_could_not_tell_them_apart(tmp_path: Path) -> None:
    def researcher(number: int, times: int, request: dict[str, Any]) -> Any:
        name = "same" if times == 1 else "other"
        return offered(a_proposal(name="same", change="a first thing"), a_proposal(name=name, change="a second thing"))

    with a_run(tmp_path, Script(Researcher=researcher), budget=1) as (context, requests):
        await campaign.run(context)
    second = [text_of(r) for r in requests if role_of(r)[0] == "Researcher"][1]
    assert "2 ideas are called same: give each its own name." in second
    assert [i.hypothesis.name for i in pool(context.archive.experiments())] == ["other"]


async def test_a_name_is_one_line_without_signs_that_a_terminal_obeys(tmp_path: Path) -> None:
    def researcher(number: int, times: int, request: dict[str, Any]) -> Any:
        said = json.loads(Script.usual("Researcher", number).model_dump_json())
        said["ideas"][0] |= {"name": "floor\n## Lab\x1b[2J", "family": "gla\r\x00"}
        return json.dumps(said)

    with a_run(tmp_path, Script(Researcher=researcher), budget=1) as (context, _):
        await campaign.run(context)
    (one,) = candidates(context)
    assert (one.name, one.hypothesis and one.hypothesis.family) == ("floor ## Lab [2J", "gla")


async def test_a_forecast_beyond_all_numbers_is_none_and_spoils_no_mean(tmp_path: Path) -> None:
    def researcher(number: int, times: int, request: dict[str, Any]) -> Any:
        said = json.loads(Script.usual("Researcher", number).model_dump_json())
        said["ideas"][0]["prediction"] = {"effect": 0.0, "low": -1e308, "high": 1e308 if number == 1 else 1e100}
        return json.dumps(said)

    with a_run(tmp_path, Script(Researcher=researcher), budget=2) as (context, _):
        await campaign.run(context)
    assert all(e.hypothesis and not e.hypothesis.forecasts and e.measurements for e in candidates(context))


async def test_a_call_with_a_megabyte_of_arguments_is_not_carried_through_the_turn(tmp_path: Path) -> None:
    def researcher(number: int, times: int, request: dict[str, Any]) -> Any:
        asked = {"name": "read_experiment", "arguments": json.dumps({"id": "x" * 1_000_000})}
        calls = [{"id": "t1", "type": "function", "function": asked}]
        return completion(None, tool_calls=calls) if times == 1 else Script.usual("Researcher", number)

    with a_run(tmp_path, Script(Researcher=researcher), budget=1) as (context, requests):
        await campaign.run(context)
    second = [r for r in requests if role_of(r)[0] == "Researcher"][1]
    assert len(json.dumps(second)) < 60_000
    assert "The arguments of read_experiment are too long (1000010 characters)" in str(
        second["messages"][-1]["content"]
    )
    assert all(e.measurements for e in candidates(context))

"""A reply validates or an error of ours is raised: an invalid one would wedge the team."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from autogen_core import FunctionCall
from autogen_core.models import LLMMessage, SystemMessage, UserMessage
from autogen_core.tools import ToolSchema
from hypothesis import given
from hypothesis import strategies as st

from move37.agents import prompts
from move37.agents.errors import BudgetSpent, ModelReplyInvalid, ModelUnavailable
from move37.agents.models.repair import RetryPolicy, StructuredOutputClient
from move37.agents.models.shrink import shorter, size
from move37.agents.replies import Critique
from move37.agents.roles import MEMBERS, Member
from tests.agents.models.scripted import Texts

GOOD = json.dumps({"accept": True, "ground": "none", "reason": "nothing speaks against it"})
ASKED: list[LLMMessage] = [SystemMessage(content="You are the Critic."), UserMessage(content="Judge.", source="Lab")]


class Refused(Exception):
    def __init__(self, status: int, words: str = "") -> None:
        super().__init__(words or f"the server says {status}\nsecond line")
        self.status_code = status


def repaired(inner: Texts, **policy: Any) -> tuple[StructuredOutputClient, list[float]]:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    return StructuredOutputClient(inner, signature="openai:test", policy=RetryPolicy(**policy), sleep=sleep), pauses


async def test_an_invalid_reply_is_shown_to_the_model_with_its_error() -> None:
    inner = Texts('{"accept": true}', GOOD)
    client, _ = repaired(inner)
    result = await client.create(ASKED, json_output=Critique)
    assert Critique.model_validate_json(str(result.content)).reason
    assert result.usage.prompt_tokens == 20 and result.usage.completion_tokens == 10
    again = inner.asked[1]
    assert '{"accept": true}' in again[-2]
    assert "ground: Field required" in again[-1] and "reason: Field required" in again[-1]


async def test_a_model_that_never_obeys_ends_in_an_error_with_its_last_text() -> None:
    inner = Texts("I refuse.")
    client, _ = repaired(inner, replies=2)
    with pytest.raises(ModelReplyInvalid, match="openai:test gave no valid Critique in 3 attempts") as caught:
        await client.create(ASKED, json_output=Critique)
    assert caught.value.text == "I refuse."
    assert len(inner.asked) == 3


async def test_the_conversation_does_not_grow_with_attempts() -> None:
    inner = Texts("x" * 50_000)
    client, _ = repaired(inner, replies=3)
    with pytest.raises(ModelReplyInvalid):
        await client.create(ASKED, json_output=Critique)
    assert [len(asked) for asked in inner.asked] == [2, 4, 4, 4]
    assert len(inner.asked[-1][2]) <= 2_000


async def test_a_reply_that_was_cut_off_says_so() -> None:
    client, _ = repaired(Texts('{"accept": tr', finish="length"), replies=0)
    with pytest.raises(ModelReplyInvalid, match="cut off"):
        await client.create(ASKED, json_output=Critique)


async def test_a_model_without_structured_output_gets_the_schema_in_its_prompt() -> None:
    inner = Texts(GOOD)
    client, _ = repaired(inner)
    await client.create(ASKED, json_output=Critique)
    assert inner.asked[0][0].startswith("You are the Critic.") and '"ground"' in inner.asked[0][0]
    assert inner.options[0]["json_output"] is None
    assert client.model_info["structured_output"] is True


async def test_an_outage_is_waited_out_with_growing_pauses() -> None:
    client, pauses = repaired(Texts(Refused(429), ConnectionError("reset"), Refused(503), GOOD))
    assert (await client.create(ASKED, json_output=Critique)).content
    assert pauses == [0.5, 1.0, 2.0]


async def test_an_outage_that_outlasts_its_limit_ends_in_one_line() -> None:
    client, _ = repaired(Texts(Refused(503)), outage_seconds=0.0)
    with pytest.raises(ModelUnavailable) as caught:
        await client.create(ASKED, json_output=Critique)
    assert "\n" not in str(caught.value) and "try again later" in str(caught.value)


async def test_errors_of_ours_pass_unchanged() -> None:
    client, _ = repaired(Texts(BudgetSpent("no tokens left")))
    with pytest.raises(BudgetSpent):
        await client.create(ASKED, json_output=Critique)


async def test_a_plain_question_is_passed_on() -> None:
    client, _ = repaired(Texts("Hello."))
    assert (await client.create(ASKED)).content == "Hello."


async def test_calls_of_tools_pass_and_no_form_constrains_the_decoding_then() -> None:
    called = [FunctionCall(id="1", name="check", arguments="{}")]
    inner = Texts(called, structured=True)
    client, _ = repaired(inner)
    tool: ToolSchema = {"name": "check", "description": "gates", "parameters": {"type": "object", "properties": {}}}
    result = await client.create(ASKED, json_output=Critique, tools=[tool])
    assert result.content == called
    assert inner.options[0]["json_output"] is None and "done with the tools" in inner.asked[0][0]


CALLS = {
    "the form, as a function": ([("Critique", GOOD)], "the reply"),
    "the form, with a name of no function": ([("final_answer", GOOD)], "the reply"),
    "another tool": ([("browse", '{"q": "gates"}')], "calls"),
    "another tool beside one that exists": ([("browse", "{}"), ("check", "{}")], "calls"),
    "the form beside a tool that exists": ([("check", "{}"), ("Critique", GOOD)], "calls"),
}


@pytest.mark.parametrize(("called", "found"), CALLS.values(), ids=CALLS.keys())
async def test_a_call_of_a_tool_that_was_not_offered_is_the_reply_or_the_agents_to_answer(
    called: list[tuple[str, str]], found: str
) -> None:
    calls = [FunctionCall(id=str(n), name=name, arguments=words) for n, (name, words) in enumerate(called)]
    client, _ = repaired(Texts(calls))
    tool: ToolSchema = {"name": "check", "description": "gates", "parameters": {"type": "object", "properties": {}}}
    result = await client.create(ASKED, json_output=Critique, tools=[tool])
    if found == "calls":
        assert result.content == calls
    else:
        assert Critique.model_validate_json(str(result.content)).accept


async def test_who_calls_a_tool_where_none_can_be_called_is_told_so() -> None:
    inner = Texts([FunctionCall(id="1", name="check", arguments="{}")], '<tool_call>{"name": "check"}', GOOD)
    client, _ = repaired(inner)
    await client.create(ASKED, json_output=Critique)
    assert [sum("no tool can be called now" in text for text in asked) for asked in inner.asked] == [0, 1, 1]


async def test_a_role_that_renders_its_own_context_makes_it_shorter_itself() -> None:
    asked: list[int] = []

    def half(messages: Sequence[LLMMessage], characters: int) -> list[LLMMessage]:
        asked.append(characters)
        return [SystemMessage(content="short")]

    inner = Texts(Refused(400, "maximum context length is 10 tokens"), GOOD)
    client, _ = repaired(inner)
    client._shorter = half
    await client.create(ASKED, json_output=Critique)
    assert len(asked) == 1 and inner.asked[1][0].startswith("short")


@pytest.mark.parametrize("member", MEMBERS, ids=lambda m: m.name)
def test_a_shorter_prompt_still_says_which_role_is_asked_and_what_for(member: Member) -> None:
    words = prompts.text(member.prompt)
    context = "Lab:\n## Every experiment so far\n\n" + "- c1-001 a floor under the decay: nothing gained\n\n" * 400
    (kept,) = shorter([UserMessage(content=context + words, source="Lab")], 2 * len(words))
    assert str(kept.content).startswith("Lab:\n## Every experiment") and str(kept.content).endswith(words)
    assert size([kept]) <= 2 * len(words)


@given(st.lists(st.text(max_size=3_000), min_size=1, max_size=8), st.integers(0, 6_000))
def test_a_shorter_prompt_keeps_the_system_words_and_the_newest_message(texts: list[str], limit: int) -> None:
    messages: list[LLMMessage] = [
        SystemMessage(content="rules"),
        *(UserMessage(content=t, source="Lab") for t in texts),
    ]
    kept = shorter(messages, limit)
    assert kept[0] == messages[0] and isinstance(kept[-1], UserMessage)
    assert size(kept) <= max(limit, 800, size(messages[:1]) + 400)
    if size(messages) <= limit:
        assert kept == messages

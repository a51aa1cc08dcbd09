"""A reply validates or an error of ours is raised: an invalid one would wedge the team."""

from __future__ import annotations

import json
from typing import Any

import pytest
from autogen_core.models import LLMMessage, SystemMessage, UserMessage
from hypothesis import given
from hypothesis import strategies as st

from move37.agents.errors import BudgetSpent, ModelReplyInvalid, ModelUnavailable
from move37.agents.models.repair import RetryPolicy, StructuredOutputClient, validated
from move37.agents.replies import Critique
from tests.agents.models.scripted import Texts

GOOD = json.dumps({"accept": True, "ground": "none", "reason": "nothing speaks against it"})
ASKED: list[LLMMessage] = [SystemMessage(content="You are the Critic."), UserMessage(content="Judge.", source="Lab")]


class Refused(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(f"the server says {status}\nsecond line")
        self.status_code = status


def repaired(inner: Texts, **patience: Any) -> tuple[StructuredOutputClient, list[float]]:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    return StructuredOutputClient(inner, signature="openai:test", patience=RetryPolicy(**patience), sleep=sleep), pauses


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"Sure! Here is my judgement:\n{GOOD}\nI hope {{this}} helps.",
        f"<think>{{maybe}} I should</think>\n{GOOD}",
        '{"note": "not this one"} ' + GOOD,
        GOOD.replace("against it", "against\nit"),
    ],
)
async def test_json_is_found_wherever_it_stands(text: str) -> None:
    client, _ = repaired(Texts(text))
    result = await client.create(ASKED, json_output=Critique)
    assert Critique.model_validate_json(str(result.content)).accept


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


async def test_an_endpoint_that_refuses_a_way_of_asking_is_asked_in_the_next_and_never_again_so() -> None:
    inner = Texts(Refused(400), Refused(422), GOOD, structured=True)
    client, pauses = repaired(inner)
    await client.create(ASKED, json_output=Critique)
    await client.create(ASKED, json_output=Critique)
    assert [options["json_output"] for options in inner.options] == [Critique, True, None, None]
    assert pauses == []


async def test_transport_errors_are_tried_again_after_growing_pauses() -> None:
    client, pauses = repaired(Texts(Refused(429), ConnectionError("reset"), Refused(503), GOOD))
    assert (await client.create(ASKED, json_output=Critique)).content
    assert pauses == [0.5, 1.0, 2.0]


async def test_transport_errors_end_in_one_line() -> None:
    client, pauses = repaired(Texts(Refused(503)), transport=2)
    with pytest.raises(ModelUnavailable) as caught:
        await client.create(ASKED, json_output=Critique)
    assert len(pauses) == 2
    assert "\n" not in str(caught.value) and "the endpoint runs" in str(caught.value)


@pytest.mark.parametrize(("status", "advice"), [(401, "API key"), (403, "API key"), (404, "model's name")])
async def test_a_refusal_is_not_tried_again(status: int, advice: str) -> None:
    client, pauses = repaired(Texts(Refused(status)))
    with pytest.raises(ModelUnavailable, match=advice):
        await client.create(ASKED, json_output=Critique)
    assert pauses == []


async def test_errors_of_ours_pass_unchanged() -> None:
    client, _ = repaired(Texts(BudgetSpent("no tokens left")))
    with pytest.raises(BudgetSpent):
        await client.create(ASKED, json_output=Critique)


async def test_a_plain_question_is_passed_on() -> None:
    client, _ = repaired(Texts("Hello."))
    assert (await client.create(ASKED)).content == "Hello."


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    reply, problem = validated(text, Critique)
    assert reply is not None or problem


def test_deep_nesting_is_no_reply() -> None:
    assert validated('{"a":' * 100_000, Critique)[0] is None

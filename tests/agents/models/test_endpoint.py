"""What endpoints do: a table of faults over real HTTP on loopback, and what follows from each."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise
from typing import Any

import pytest
from autogen_core.models import AssistantMessage, LLMMessage, SystemMessage, UserMessage

from move37.agents.errors import ModelReplyInvalid, ModelUnavailable
from move37.agents.models import ModelOptions, open_model, wire
from move37.agents.models.client import FACTS, CallFacts
from move37.agents.models.repair import RetryPolicy, StructuredOutputClient
from move37.agents.replies import Critique
from tests.agents.models.server import answering, completion

ASKED: list[LLMMessage] = [SystemMessage(content="You judge."), UserMessage(content="A longer memory?", source="Lab")]
GOOD = json.dumps({"accept": False, "ground": "novelty", "reason": "it was tried before"})
LONG: list[LLMMessage] = [
    SystemMessage(content="You judge."),
    UserMessage(content="old " * 3_000, source="Lab"),
    AssistantMessage(content=GOOD, source="Critic"),
    UserMessage(content="A longer memory?", source="Researcher"),
]


def refusal(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", **more}}


class Opened:
    """A client whose pauses are kept instead of slept, and what it told the user."""

    def __init__(self, url: str, uri: str = "openai:tiny", **policy: Any) -> None:
        client = open_model(uri, ModelOptions(base_url=url))
        assert isinstance(client, StructuredOutputClient)
        self.pauses: list[float] = []
        self.told: list[str] = []
        client._policy = RetryPolicy(replies=1, call_seconds=20, **policy)
        client._sleep = self._sleep
        client.on_wait = self.told.append
        self.client = client

    @property
    def waits(self) -> list[str]:
        """That an outage began; that it ended is told only where it took a while, as on a busy machine."""
        return [said for said in self.told if "answers again" not in said]

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def ask(self, messages: list[LLMMessage] = ASKED) -> Critique:
        result = await self.client.create(messages, json_output=Critique)
        return Critique.model_validate_json(str(result.content))


# Answers that are odd and good ---------------------------------------------------------------------------------

USABLE: dict[str, Any] = {
    "parts": completion([{"type": "thinking", "thinking": "{}"}, {"type": "text", "text": GOOD}]),  # type: ignore[arg-type]
    "parts of strings": completion([GOOD]),  # type: ignore[arg-type]
    "an object as content": completion(json.loads(GOOD)),
    "reasoning_content": completion(None, reasoning_content=GOOD),
    "reasoning": completion("", reasoning=f"I think.\n</think>{GOOD}"),
    "a call that nobody offered": completion(
        None, tool_calls=[{"id": "1", "type": "function", "function": {"name": "Critique", "arguments": GOOD}}]
    ),
    "function_call": completion(None, function_call={"name": "Critique", "arguments": GOOD}),
    "no usage": {k: v for k, v in completion(GOOD).items() if k != "usage"},
    "null counts": completion(GOOD) | {"usage": {"prompt_tokens": None, "completion_tokens": None}},
    "counts in words": completion(GOOD) | {"usage": {"prompt_tokens": "7", "completion_tokens": 3.0}},
    "usage that is none": completion(GOOD) | {"usage": "free"},
    "an odd finish": completion(GOOD)
    | {"choices": [{"index": 0, "finish_reason": "eos", "message": {"role": "assistant", "content": GOOD}}]},
    "no finish, no role": completion(GOOD) | {"choices": [{"message": {"content": GOOD}}]},
    "text instead of a message": completion(GOOD) | {"choices": [{"text": GOOD}]},
    "null error beside choices": completion(GOOD) | {"error": None},
    "only choices": {"choices": [{"message": {"role": "assistant", "content": GOOD}}]},
    "in a list": [completion(GOOD)],
    "a stream that nobody asked for": b"".join(
        f"data: {json.dumps({'choices': [{'delta': {'content': piece}, 'finish_reason': end}]})}\n\n".encode()
        for piece, end in ((GOOD[:20], None), (GOOD[20:], "stop"))
    ),
    "packed without a word": gzip.compress(json.dumps(completion(GOOD)).encode()),
    "Gemini's own": {"candidates": [{"content": {"parts": [{"text": GOOD}]}, "finishReason": "STOP"}]},
}


@pytest.mark.parametrize("body", USABLE.values(), ids=USABLE.keys())
async def test_an_odd_answer_is_read(body: Any) -> None:
    with answering((200, body)) as (url, requests):
        opened = Opened(url)
        assert (await opened.ask()).ground == "novelty"
    assert len(requests) == 1 and opened.pauses == []


@pytest.mark.parametrize("uri", ["openai:tiny", "ollama:tiny", "anthropic:tiny"])
async def test_half_a_surrogate_in_an_answer_can_be_stored_and_sent_back(uri: str) -> None:
    """As a model's emoji ends that was cut in its middle."""
    answers = (200, completion("No object. \ud83d")), (200, completion(f"Here: \ud83d {GOOD}"))
    with answering(*answers) as (url, requests):
        opened = Opened(url, uri)
        result = await opened.client.create(ASKED, json_output=Critique)
        said = await opened.client.create(ASKED)
    assert Critique.model_validate_json(str(result.content)).ground == "novelty" and opened.pauses == []
    assert f"{said.content}".encode() and len(requests) == 3


async def test_a_good_answer_without_the_right_type_is_read() -> None:
    with answering((200, json.dumps(completion(GOOD)).encode(), {"content-type": "text/plain"})) as (url, requests):
        assert (await Opened(url).ask()).ground == "novelty"
    assert len(requests) == 1


# Answers that are none, once, and then a good one -----------------------------------------------------------------

PASSING: dict[str, tuple[Any, ...]] = {
    "429": (429, refusal("Rate limit reached")),
    "502": (502, b"<html><title>Bad gateway</title></html>", {"content-type": "text/html"}),
    "503": (503, {"error": {"message": "Loading model", "code": 503}}),
    "529": (529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    "408": (408, b""),
    "500": (500, b"Internal Server Error", {"content-type": "text/plain"}),
    "504": (504, {"detail": "upstream timed out"}),
    "hung up": (0, b""),
    "200 with an error and a code": (200, {"error": {"message": "upstream failed", "code": 502}}),
    "200 with an error, 429": (200, {"error": {"message": "slow down", "code": "429"}}),
    "200 with an error in words": (200, {"error": "model is loading, try again"}),
    "200 overloaded": (200, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    "200 with null choices": (200, {"choices": None}),
    "200 without choices": (200, {"id": "1", "choices": []}),
    "200 cut off": (200, json.dumps(completion(GOOD)).encode()[:80]),
    "200 and nothing": (200, b""),
    "200 and null": (200, b"null"),
    "200 and a number": (200, b"7"),
    "200 and not UTF-8": (200, b"\xff\xfe\x00"),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
async def test_what_passes_is_asked_again_in_the_same_way(fault: tuple[Any, ...]) -> None:
    with answering(fault, (200, GOOD)) as (url, requests):
        opened = Opened(url)
        assert (await opened.ask()).ground == "novelty"
    assert len(requests) == 2 and len(opened.pauses) == 1
    assert _wanted(requests[0]) == _wanted(requests[1])


async def test_an_answer_without_end_is_left_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MOST_UNPACKED", 10_000)
    packed = gzip.compress(json.dumps(completion(GOOD) | {"padding": " " * 100_000}).encode())
    with answering((200, packed, {"content-encoding": "gzip"}), (200, GOOD)) as (url, requests):
        opened = Opened(url)
        assert (await opened.ask()).ground == "novelty" and len(requests) == 2


async def test_nobody_listening_is_waited_for() -> None:
    with answering((200, GOOD)) as (url, _):
        pass
    opened = Opened(url, outage_seconds=0.0)
    with pytest.raises(ModelUnavailable, match="check that the endpoint runs"):
        await opened.ask()
    assert opened.pauses


async def test_an_outage_is_waited_out_for_as_long_as_it_lasts_and_told_once() -> None:
    away = [(503, {"error": "Loading model"})] * 40
    with answering(*away, (200, GOOD)) as (url, requests):
        opened = Opened(url)
        await opened.ask()
    assert len(requests) == 41
    assert opened.pauses[:4] == [0.5, 1.0, 2.0, 4.0] and max(opened.pauses) == 120.0
    assert len(opened.waits) == 1 and "Loading model" in opened.waits[0] and "asked again" in opened.waits[0]


@pytest.mark.parametrize(
    ("headers", "message", "seconds"),
    [
        ({"retry-after": "25"}, "slow down", 25.0),
        ({"retry-after-ms": "1500"}, "slow down", 1.5),
        ({}, "Please try again in 7.5s.", 7.5),
        ({}, "Please try again in 1m30s", 90.0),
        ({}, "retry after 20 seconds", 20.0),
        ({}, "Rate limit, wait 2 minutes", 120.0),
        ({"retry-after": "Sat, 28 Nov 2020 00:00:00 GMT"}, "slow down", 0.5),
        ({"retry-after": "soon"}, "slow down", 0.5),
    ],
)
async def test_a_server_is_asked_again_when_it_said(headers: dict[str, str], message: str, seconds: float) -> None:
    with answering((429, refusal(message), headers), (200, GOOD)) as (url, _):
        opened = Opened(url)
        await opened.ask()
    assert opened.pauses == [seconds]


def small(request: dict[str, Any]) -> bool:
    """Whether it is asked only whether it can answer."""
    return "ready" in request["messages"][-1]["content"]


async def test_a_server_that_fails_at_one_request_and_serves_others_loses_that_call_alone() -> None:
    def server(request: dict[str, Any]) -> tuple[Any, ...]:
        bad = "A longer memory?" in request["messages"][-1]["content"]
        return (500, {"error": "CUDA error"}) if bad else (200, GOOD)

    with deciding(server) as (url, requests):
        opened = Opened(url)
        with pytest.raises(ModelReplyInvalid, match="CUDA error"):
            await opened.ask()
        other: list[LLMMessage] = [UserMessage(content="A shorter one?", source="Lab")]
        assert (await opened.ask(other)).ground == "novelty"
    assert [small(r) for r in requests] == [False] * 5 + [True] + [False] * 2
    assert opened.told == []


GAVE_UP: dict[str, tuple[Any, ...]] = {
    **{str(status): (status, {"error": "upstream timed out"}) for status in (408, 502, 504, 524)},
    "hung up": (0, b""),
    "hung up in the middle": (200, b'{"choices": [', {"content-length": "9000"}),
}


@pytest.mark.parametrize("fault", GAVE_UP.values(), ids=GAVE_UP.keys())
async def test_a_request_that_a_gateway_gives_up_while_others_pass_is_lost_alone(fault: tuple[Any, ...]) -> None:
    """A long answer behind a short patience, a prompt at which the server falls over: no outage."""

    def server(request: dict[str, Any]) -> tuple[Any, ...]:
        return fault if "A longer memory?" in request["messages"][-1]["content"] else (200, GOOD)

    with deciding(server) as (url, requests):
        opened = Opened(url)
        with pytest.raises(ModelReplyInvalid, match="failed at this request"):
            await opened.ask()
        other: list[LLMMessage] = [UserMessage(content="A shorter one?", source="Lab")]
        assert (await opened.ask(other)).ground == "novelty"
    assert sum(small(r) for r in requests) == 1 and sum(opened.pauses) < 60


@pytest.mark.parametrize("fault", GAVE_UP.values(), ids=GAVE_UP.keys())
async def test_a_gateway_without_its_server_is_waited_for(fault: tuple[Any, ...]) -> None:
    with answering(*[fault] * 30, (200, GOOD)) as (url, _):
        opened = Opened(url)
        assert (await opened.ask()).ground == "novelty"
    assert len(opened.waits) == 1 and "asked again" in opened.waits[0]
    with answering(*[fault] * 9, (200, GOOD)) as (url, _):
        await Opened(url).client.trial()


async def test_nobody_waits_longer_for_a_trial_than_they_would() -> None:
    with answering((429, refusal("slow down"), {"retry-after": "86400"})) as (url, _):
        opened = Opened(url)
        with pytest.raises(ModelUnavailable, match="slow down"):
            await opened.client.trial()
    assert opened.pauses == []


async def test_a_server_that_failed_is_not_left_for_a_day() -> None:
    with answering((500, refusal("CUDA error"), {"retry-after": "86400"}), (200, GOOD)) as (url, _):
        opened = Opened(url)
        await opened.ask()
    assert opened.pauses == [120.0]


async def test_a_server_that_fails_at_everything_for_an_hour_is_waited_out() -> None:
    failing = [(500, {"error": "CUDA error"})] * 60
    with answering(*failing, (200, GOOD)) as (url, requests):
        opened = Opened(url)
        assert (await opened.ask()).ground == "novelty"
    assert abs(sum(not small(r) for r in requests) - sum(small(r) for r in requests) - 5) <= 1  # each after its trial
    assert sum(opened.pauses) > 2_400 and max(opened.pauses) == 120.0
    assert len(opened.waits) == 1 and "does not answer (500: CUDA error)" in opened.waits[0]


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_key_that_has_worked_and_is_refused_is_tried_again_for_some_minutes(status: int) -> None:
    glitch = (status, refusal("who are you?"))
    with answering((200, GOOD), *[glitch] * 6, (200, GOOD)) as (url, requests):
        opened = Opened(url)
        await opened.ask()
        assert (await opened.ask()).ground == "novelty"
    assert len(requests) == 8
    assert len(opened.waits) == 1 and "refuses us" in opened.waits[0] and "asked again" in opened.waits[0]
    with answering((200, GOOD), glitch) as (url, _):
        gone = Opened(url, refused_seconds=0.0)
        await gone.ask()
        with pytest.raises(ModelUnavailable, match="refuses us"):
            await gone.ask()


# Refusals -----------------------------------------------------------------------------------------------------

NAMED: dict[str, tuple[dict[str, Any], str]] = {
    "schema": (refusal("response_format is not supported"), "response_format"),
    "schema, in Pydantic's words": (
        {"detail": [{"loc": ["body", "response_format"], "msg": "Extra inputs are not permitted"}]},
        "response_format",
    ),
    "schema, by parameter": (refusal("Unsupported value", param="response_format"), "response_format"),
    "seed": (refusal("property 'seed' is unsupported"), "seed"),
    "seed, in Pydantic's words": (
        {
            "detail": [
                {"loc": ["body", "seed"], "msg": "Extra inputs are not permitted", "input": {"response_format": 1}}
            ]
        },
        "seed",
    ),
    "max_tokens": (
        refusal("Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."),
        "max_tokens",
    ),
    "max_tokens, not at all": (refusal("Unrecognized request argument: max_tokens"), "max_tokens"),
}


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize(("body", "named"), NAMED.values(), ids=NAMED.keys())
async def test_a_refusal_changes_only_what_it_names(body: dict[str, Any], named: str, status: int) -> None:
    def server(request: dict[str, Any]) -> bool:
        return named in request

    with deciding(server, (status, body), (200, GOOD)) as (url, requests):
        opened = Opened(url)
        await opened.ask()
        await opened.ask()
    wanted, later = _wanted(requests[0]), _wanted(requests[-1])
    assert named in wanted and named not in later
    renamed = {"max_completion_tokens"} if named == "max_tokens" else set()
    assert {k: v for k, v in wanted.items() if k != named} == {k: v for k, v in later.items() if k not in renamed}
    assert named not in requests[-1]  # remembered: the second call began with it
    assert opened.pauses == []


async def test_roles_that_must_alternate_are_merged() -> None:
    two: list[LLMMessage] = [*ASKED, UserMessage(content="And a person asks?", source="Lab")]
    words = "Conversation roles must alternate user/assistant/user/assistant/..."

    def server(request: dict[str, Any]) -> bool:
        roles = [m["role"] for m in request["messages"] if m["role"] != "system"]
        return any(a == b for a, b in pairwise(roles))

    with deciding(server, (400, refusal(words)), (200, GOOD)) as (url, requests):
        await Opened(url).ask(two)
    assert [m["role"] for m in requests[-1]["messages"]] == ["system", "user"]
    assert "And a person asks?" in requests[-1]["messages"][1]["content"]


@pytest.mark.parametrize(
    "words",
    [
        "System role not supported",
        "Only user and assistant roles are supported",
        "Developer instruction is not enabled",
    ],
)
async def test_a_system_role_that_is_refused_goes_to_the_user(words: str) -> None:
    def server(request: dict[str, Any]) -> bool:
        return any(m["role"] == "system" for m in request["messages"])

    with deciding(server, (400, refusal(words)), (200, GOOD)) as (url, requests):
        await Opened(url).ask()
    assert [m["role"] for m in requests[-1]["messages"]] == ["user"]
    assert requests[-1]["messages"][0]["content"].startswith("You judge.")


async def test_several_things_that_are_refused_one_after_the_other_are_all_learned() -> None:
    def server(request: dict[str, Any]) -> Any:
        for name in ("seed", "response_format", "max_tokens"):
            if name in request:
                return 400, refusal(f"unknown field {name}")
        return 200, GOOD

    with deciding(server) as (url, requests):
        opened = Opened(url)
        await opened.ask()
        before = len(requests)
        await opened.ask()
    assert len(requests) == before + 1


async def test_a_way_that_did_not_help_is_taken_back() -> None:
    angry = (400, refusal("the schema of the moon is wrong"))
    with answering((200, GOOD), angry, angry, angry, (200, GOOD)) as (url, requests):
        opened = Opened(url)
        await opened.ask()
        with pytest.raises(ModelReplyInvalid, match="the moon"):
            await opened.ask()
        await opened.ask()
    assert _wanted(requests[-1]) == _wanted(requests[0])


@pytest.mark.parametrize("message", ["bad request", "the moon is full", "Provider returned error"])
async def test_a_refusal_that_names_nothing_changes_nothing_and_loses_one_call(message: str) -> None:
    with answering((200, GOOD), (400, refusal(message)), (200, GOOD)) as (url, requests):
        opened = Opened(url)
        await opened.ask()
        with pytest.raises(ModelReplyInvalid, match=message):
            await opened.ask()
        await opened.ask()
    assert len({json.dumps(_wanted(r), sort_keys=True) for r in requests}) == 1


async def test_a_first_refusal_without_a_reason_is_tried_in_weaker_ways() -> None:
    with deciding(lambda r: "response_format" in r, (400, refusal("Bad Request")), (200, GOOD)) as (url, _):
        assert (await Opened(url).ask()).ground == "novelty"


async def test_a_grammar_that_the_server_cannot_build_is_asked_for_differently() -> None:
    failed = (500, {"error": {"code": 500, "message": "failed to parse grammar"}})
    with answering(failed, (200, GOOD)) as (url, requests):
        opened = Opened(url)
        await opened.ask()
    assert requests[1]["response_format"] == {"type": "json_object"} and opened.pauses == []


FINAL: list[tuple[int, Any, str]] = [
    (401, refusal("Incorrect API key provided"), "check the API key"),
    (403, refusal("not allowed"), "check the API key"),
    (402, refusal("pay first"), "no credit"),
    (429, refusal("You exceeded your current quota", code="insufficient_quota"), "no credit"),
    (404, refusal("The model `tiny` does not exist"), "does not exist.*model's name"),
    (200, {"error": "Unexpected endpoint or method. (POST /chat/completions)"}, "Unexpected endpoint.*--base-url"),
    (200, b"<!doctype html><title>Sign in</title>", "web page instead of JSON .Sign in.*--base-url"),
    (404, b"<html><h1>Not Found</h1></html>", "Not Found.*--base-url"),
]


@pytest.mark.parametrize(("status", "body", "advice"), FINAL)
async def test_what_no_patience_helps_is_final_at_once_and_says_why(status: int, body: Any, advice: str) -> None:
    with answering((status, body)) as (url, requests):
        opened = Opened(url)
        with pytest.raises(ModelUnavailable, match=advice) as caught:
            await opened.client.trial()
    assert len(requests) == 1 and opened.pauses == []
    assert "\n" not in str(caught.value)


# Prompts that are too long ---------------------------------------------------------------------------------------

OVERFLOWS = [
    refusal("This model's maximum context length is 2048 tokens. However, your messages resulted in 3100 tokens."),
    refusal("request (3100 tokens) exceeds the available context size (2048 tokens)", n_ctx=2048, n_prompt_tokens=3100),
    refusal("prompt is too long: 3100 tokens > 2048 maximum"),
    refusal("Input is too long for requested model."),
]


@pytest.mark.parametrize("body", OVERFLOWS)
async def test_a_prompt_that_is_too_long_is_shortened_for_that_call(body: dict[str, Any]) -> None:
    with deciding(lambda r: len(json.dumps(r["messages"])) > 9_000, (400, body), (200, GOOD)) as (url, requests):
        opened = Opened(url)
        await opened.ask(LONG)
        await opened.ask()
    shortened, later = requests[-2], requests[-1]
    assert "A longer memory?" in shortened["messages"][-1]["content"]
    assert shortened["messages"][0]["content"].startswith("You judge.")
    assert _wanted(shortened) == _wanted(later)


async def test_a_reply_that_was_promised_too_much_room_gets_less_for_that_call() -> None:
    words = (
        "This model's maximum context length is 4096 tokens. However, you requested 8700 tokens "
        "(508 in the messages, 8192 in the completion)."
    )

    with deciding(lambda r: r["max_tokens"] > 3_588, (400, refusal(words)), (200, GOOD)) as (url, requests):
        opened = Opened(url)
        await opened.ask()
    assert requests[-1]["max_tokens"] == 4096 - 508 - 16
    assert requests[-1]["messages"] == requests[0]["messages"]


async def test_a_prompt_that_can_never_fit_loses_one_call() -> None:
    with answering((400, OVERFLOWS[0])) as (url, _):
        with pytest.raises(ModelReplyInvalid, match="cannot take a prompt of this length"):
            await Opened(url).ask()


# Speakers, and what is counted --------------------------------------------------------------------------------------


async def test_speakers_are_told_apart_in_the_text() -> None:
    with answering((200, GOOD)) as (url, requests):
        await Opened(url).ask([*ASKED, UserMessage(content="Shorter!", source="person")])
    assert [m.get("name") for m in requests[0]["messages"]] == [None, None, None]
    assert "Lab" in requests[0]["messages"][1]["content"] and "person" in requests[0]["messages"][2]["content"]


async def test_prompts_that_the_provider_had_cached_are_counted() -> None:
    usage = {"prompt_tokens": 900, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 800}}
    facts = CallFacts()
    with answering((200, completion("no") | {"usage": usage}), (200, completion(GOOD) | {"usage": usage})) as (url, _):
        token = FACTS.set(facts)
        await Opened(url).ask()
        FACTS.reset(token)
    assert (facts.cached_tokens, facts.attempts) == (1_600, 2)


async def test_an_endpoint_that_serves_nothing_but_small_talk_ends_the_campaign() -> None:
    def server(request: dict[str, Any]) -> tuple[Any, ...]:
        return (200, GOOD) if small(request) else (500, {"error": "CUDA error"})

    with deciding(server) as (url, _):
        opened = Opened(url, hiccups=0)
        with pytest.raises(ModelUnavailable, match="calls before it"):
            for _ in range(12):
                try:
                    await opened.ask()
                except ModelReplyInvalid:
                    continue


def _wanted(request: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in request.items() if k not in ("messages", "headers", "path")}


def deciding(decide: Any, refused: Any = None, good: Any = None) -> Any:
    """A server whose answer depends on the request: `decide` says whether it refuses, or gives the answer itself."""
    from tests.agents.models.server import serving

    return serving(decide if refused is None else lambda request: refused if decide(request) else good)

"""What servers put into an answer: every shape becomes one text, or the failure that was meant."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.agents.models.bodies import read
from move37.agents.models.calls import ToolCall
from move37.agents.models.completions import Completion, completion_in
from move37.agents.models.dialects import Dialect, dialect_of, written
from tests.agents.models.server import completion

GOOD = '{"accept": false, "ground": "novelty", "reason": "it wäs tried"}'
HALF = len(GOOD) // 2
WHOLE = json.dumps(completion(GOOD)).encode()


def text_of(body: bytes, content_type: str = "application/json", **given: Any) -> str:
    answer = read(200, content_type, body, proven=True, **given)
    assert answer.ok, answer.words
    message = answer.data["choices"][0]["message"]
    if calls := message.get("tool_calls"):  # the form of the reply, taken for a function: repair.py reads it
        return str(calls[-1]["function"]["arguments"])
    return str(message["content"])


def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


CHUNKS = [chunk({"role": "assistant"}), chunk({"content": GOOD[:HALF]}), chunk({"content": GOOD[HALF:]}, "stop")]


def events(*values: Any, before: str = "", end: str = "data: [DONE]\n\n") -> bytes:
    return (before + "".join(f"data: {json.dumps(v)}\n\n" for v in values) + end).encode()


def _lines(value: Any) -> str:
    return "".join(f"data: {line}\r\n" for line in json.dumps(value, indent=1).split("\n"))


LINE_ENDS = "\u2028\u2029\x85\x0c\x1c"  # elsewhere, and within a JSON text signs like others


@given(st.text(st.sampled_from(LINE_ENDS + "ab "), min_size=1, max_size=8), st.sampled_from(("\n", "\r\n", "\r")))
def test_a_sign_that_ends_a_line_elsewhere_parts_no_event(said: str, end: str) -> None:
    chunks = (chunk({"content": f"x{said}y"}), chunk({"content": "z"}, "stop"))
    body = "".join(f"data: {json.dumps(one, ensure_ascii=False)}{end}{end}" for one in chunks).replace("\x0c", "\\f")
    body = body.replace("\x1c", "\\u001c")  # JSON wants these two spelled
    assert text_of(body.encode(), "text/event-stream") == f"x{said}yz"


@pytest.mark.parametrize("what", [b"\0" * (65 << 20), b" " * (65 << 20) + b"{}"])
def test_what_grows_without_end_is_no_answer(what: bytes) -> None:
    packed = gzip.compress(what, 1)
    assert len(packed) < 1 << 20 and not read(200, "application/json", packed, proven=True).ok


def test_many_values_in_one_body_are_read_in_one_walk() -> None:
    begun = time.process_time()
    text_of(WHOLE + b"\n{}" * 20_000, "application/x-ndjson")
    assert time.process_time() - begun < 5.0, "a copy of the rest for each value took minutes"


ENCODED: dict[str, tuple[bytes, str]] = {
    "a mark of its order": (b"\xef\xbb\xbf" + WHOLE, "application/json"),
    **{
        f"{code} without a mark": (json.dumps(completion(GOOD)).encode(code), "application/json")
        for code in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
    },
    "UTF-32": (json.dumps(completion(GOOD)).encode("utf-32"), "application/json"),
    "UTF-16": (json.dumps(completion(GOOD)).encode("utf-16"), "application/json"),
    "Latin-1": (json.dumps(completion(GOOD), ensure_ascii=False).encode("latin-1"), "text/json; charset=iso-8859-1"),
    "an unknown charset": (WHOLE, "application/json; charset=klingon"),
    "packed, unsaid": (gzip.compress(WHOLE), "application/json"),
    "garbage behind it": (WHOLE + b"\n\0\0", "application/json"),
    "another value behind it": (WHOLE + b'\n{"done": true}', "application/json"),
    "the same twice": (WHOLE + WHOLE, "application/json"),
    "lines that keep alive": (b": OPENROUTER PROCESSING\n\n" * 3 + WHOLE, "application/json"),
    "a guard against scripts": (b")]}'\n" + WHOLE, "application/json"),
    "raw control signs": (WHOLE.replace(b"tiny", b"ti\tny"), "application/json"),
    "as Python shows it": (str(completion(GOOD)).encode(), "application/json"),
    "a JSON string": (json.dumps(WHOLE.decode()).encode(), "application/json"),
    "a stream": (events(*CHUNKS), "text/event-stream"),
    "a stream without its type": (events(*CHUNKS), "application/json"),
    "a stream without its end": (events(*CHUNKS, end=""), "text/event-stream"),
    "a stream with comments": (events(*CHUNKS, before=": hello\n\n"), "text/event-stream"),
    "a stream whose events have many lines": (
        "".join(f"event: x\r\n{_lines(one)}\r\n" for one in CHUNKS).encode(),
        "text/event-stream",
    ),
    "a stream of one whole": (events(completion(GOOD)), "text/event-stream"),
    "lines of chunks": (b"\n".join(json.dumps(c).encode() for c in CHUNKS), "application/x-ndjson"),
    "a list of chunks": (json.dumps(CHUNKS).encode(), "application/json"),
    "Anthropic's stream": (
        b"".join(
            b"event: x\ndata: " + json.dumps(event).encode() + b"\n\n"
            for event in (
                {"type": "message_start", "message": {"content": [], "usage": {"input_tokens": 5}}},
                {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
                {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "{}"}},
                {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
                {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": GOOD[:HALF]}},
                {"type": "ping"},
                {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": GOOD[HALF:]}},
                {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
                {"type": "message_stop"},
            )
        ),
        "text/event-stream",
    ),
    "the stream of OpenAI's responses": (
        events(
            {"type": "response.created", "response": {"output": []}},
            {"type": "response.output_text.delta", "delta": GOOD},
            {
                "type": "response.completed",
                "response": {"output": [{"type": "message", "content": [{"type": "output_text", "text": GOOD}]}]},
            },
            end="",
        ),
        "text/event-stream",
    ),
    "Ollama's lines of a text": (
        b"\n".join(json.dumps({"response": c, "done": c == "}"}).encode() for c in (GOOD[:-1], "}")),
        "application/x-ndjson",
    ),
    "Ollama's lines of a thought": (
        b"\n".join(
            json.dumps({"message": {"content": "", "thinking": c}, "done": c == "}"}).encode() for c in (GOOD[:-1], "}")
        ),
        "application/x-ndjson",
    ),
    "Ollama's lines": (
        b"\n".join(json.dumps({"message": {"content": c}, "done": c == "}"}).encode() for c in (GOOD[:-1], "}")),
        "application/x-ndjson",
    ),
}


@pytest.mark.parametrize(("body", "content_type"), ENCODED.values(), ids=ENCODED.keys())
def test_a_body_is_read_however_it_is_written(body: bytes, content_type: str) -> None:
    assert text_of(body, content_type) == GOOD


@pytest.mark.parametrize("dialect", ["anthropic", "ollama"])
def test_arguments_that_nest_without_end_are_no_arguments_and_lose_no_answer(dialect: Dialect) -> None:
    deep = '{"a":' * 100_000
    called = Completion(text="what was tried", calls=(ToolCall(id="1", name="recall", arguments=deep),))
    assert "what was tried" in json.dumps(written(called, dialect, "m"))
    assert completion_in(deep) is None


def message(**fields: Any) -> dict[str, Any]:
    return completion("") | {"choices": [{"message": fields, "finish_reason": "stop"}]}


SHAPES: dict[str, Any] = {
    "in data": {"code": 0, "msg": "ok", "data": completion(GOOD)},
    "in result": {"success": True, "errors": [], "messages": [], "result": {"response": GOOD}},
    "in response": {"response": completion(GOOD)},
    "a string in body": {"statusCode": 200, "body": json.dumps(completion(GOOD))},
    "generated_text": [{"generated_text": GOOD}],
    "OpenAI's responses": {
        "object": "response",
        "output": [{"type": "reasoning"}, {"type": "message", "content": [{"type": "output_text", "text": GOOD}]}],
    },
    "Ollama's chat": {"message": {"role": "assistant", "content": GOOD}, "done": True, "eval_count": None},
    "Ollama's generate": {"model": "x", "response": GOOD, "done": True},
    "llama.cpp's own": {"content": GOOD, "stop": True, "tokens_predicted": 3},
    "Gemini's own": {
        "candidates": [
            {"content": {"parts": [{"text": "hm", "thought": True}, {"text": GOOD}]}, "finishReason": "STOP"}
        ]
    },
    "Anthropic's own": {
        "type": "message",
        "content": [{"type": "thinking", "thinking": "{}"}, {"type": "text", "text": GOOD}],
        "usage": {"input_tokens": 1, "output_tokens": None},
    },
    "Cohere's own": {"message": {"content": [{"type": "text", "text": GOOD}]}, "finish_reason": "COMPLETE"},
    "choices by number": {"choices": {"0": {"message": {"content": GOOD}}}},
    "one choice": {"choices": {"message": {"content": GOOD}}},
    "an empty first choice": {"choices": [{"message": {"content": ""}}, {"message": {"content": GOOD}}]},
    "a message in words": {"choices": [{"message": GOOD}]},
    "a delta": {"choices": [{"delta": {"content": GOOD}}]},
    "messages": {"choices": [{"messages": [{"role": "assistant", "content": GOOD}]}]},
    "a part's value": message(content=[{"type": "text", "text": {"value": GOOD}}]),
    "parts in pieces": message(content=[{"type": "text", "text": GOOD[:HALF]}, GOOD[HALF:]]),
    "a part's content": message(content=[{"type": "text", "content": GOOD}]),
    **{
        f"thoughts in {key}": message(content=None, **{key: GOOD})
        for key in ("reasoning_content", "reasoning", "reasoning_text", "thinking", "thought", "thoughts")
    },
    "thoughts in details": message(content="", reasoning_details=[{"type": "reasoning.text", "text": GOOD}]),
    "thoughts in blocks": message(content="", thinking_blocks=[{"type": "thinking", "thinking": GOOD}]),
    **{
        f"an answer in a part of {part.get('type')}": message(content=[part])
        for part in (
            {"type": "thinking", "thinking": GOOD},
            {"type": "thinking", "thinking": [{"type": "text", "text": GOOD}]},
            {"type": "reasoning", "text": GOOD},
            {"type": "reasoning.summary", "summary": [{"type": "summary_text", "text": GOOD}]},
            {"text": GOOD, "thought": True},
        )
    },
    "a draft in such a part": message(
        content=[{"type": "thinking", "thinking": [{"type": "text", "text": "{}"}]}, {"type": "text", "text": GOOD}]
    ),
    "a thought in an object": message(content="", reasoning={"content": GOOD}),
    "a draft in thoughts": message(content=GOOD, reasoning_content='{"accept": true}'),
    "arguments as an object": message(
        content=None, tool_calls=[{"function": {"name": "Critique", "arguments": json.loads(GOOD)}}]
    ),
    "a call beside words": message(content="So:", tool_calls=[{"function": {"name": "Critique", "arguments": GOOD}}]),
    "calls that are none": message(content=GOOD, tool_calls="none"),
    "an error that is none": completion(GOOD) | {"error": {"code": 0, "message": "success"}},
    "odd fields": completion(GOOD) | {"id": 7, "created": "now", "model": None, "usage": [1]},
    "an odd finish": completion(GOOD) | {"choices": [{"finish_reason": {"type": 1}, "message": {"content": GOOD}}]},
}


@pytest.mark.parametrize("data", SHAPES.values(), ids=SHAPES.keys())
def test_an_answer_is_found_in_any_shape(data: Any) -> None:
    assert json.loads(text_of(json.dumps(data).encode())) == json.loads(GOOD)


@pytest.mark.parametrize("dialect", ["openai", "anthropic", "ollama"])
def test_every_sdk_gets_the_shape_that_it_parses(dialect: Dialect) -> None:
    path = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages", "ollama": "/api/chat"}[dialect]
    data = read(200, "", WHOLE, proven=True, dialect=dialect_of(path), model="m").data
    said = {
        "openai": lambda: data["choices"][0]["message"]["content"],
        "anthropic": lambda: data["content"][0]["text"],
        "ollama": lambda: data["message"]["content"],
    }[dialect]()
    assert said == GOOD and data["model"] == "m"


CALLED: dict[str, dict[str, Any]] = {
    "OpenAI's": {"tool_calls": [{"id": "a", "function": {"name": "recall", "arguments": '{"q": "gates"}'}}]},
    "as an object": {"tool_calls": [{"function": {"name": "recall", "arguments": {"q": "gates"}}}]},
    "Hermes'": {"content": '<tool_call>\n{"name": "recall", "arguments": {"q": "gates"}}\n</tool_call>'},
    "Mistral's": {"content": '[TOOL_CALLS][{"name": "recall", "arguments": {"q": "gates"}}]'},
    "Mistral's newer": {"content": '[TOOL_CALLS]recall[ARGS]{"q": "gates"}'},
    "Llama's": {"content": '<|python_tag|>{"name": "recall", "parameters": {"q": "gates"}}'},
    "Llama's own": {"content": '<function=recall>{"q": "gates"}</function>'},
    "Qwen's": {
        "content": "<tool_call>\n<function=recall>\n<parameter=q>\ngates\n</parameter>\n</function>\n</tool_call>"
    },
}


@pytest.mark.parametrize("fields", CALLED.values(), ids=CALLED.keys())
def test_a_call_that_was_offered_is_one_wherever_it_stands(fields: dict[str, Any]) -> None:
    data = read(200, "", json.dumps(message(**fields)).encode(), proven=True, tools=["recall"]).data
    call = data["choices"][0]["message"]["tool_calls"][0]["function"]
    assert (call["name"], json.loads(call["arguments"])) == ("recall", {"q": "gates"})
    assert data["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    "error",
    [None, "", "ok", {"code": "", "message": ""}, {"code": 0, "message": ""}, {"code": None, "message": None}, {}, []],
)
def test_calls_beside_an_error_that_is_none_are_the_answer(error: Any) -> None:
    data = message(content=None, **CALLED["OpenAI's"]) | {"error": error}
    answer = read(200, "", json.dumps(data).encode(), proven=True, tools=["recall"])
    assert answer.ok and answer.data["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("status", [200, 401, 500])
@pytest.mark.parametrize(
    "around", ['{"error":%s}', '{"message":%s}', "[%s]", '{"choices":[{"message":{"reasoning_details":%s}}]}']
)
@pytest.mark.parametrize("times", [150, 300, 900, 100_000])
def test_what_nests_deeper_than_any_answer_breaks_nobody(status: int, around: str, times: int) -> None:
    before, _, behind = around.partition("%s")
    answer = read(status, "", (before * times + '"x"' + behind * times).encode(), proven=True)
    assert not answer.ok and answer.status == (status if status >= 300 else 502)


@pytest.mark.parametrize(
    "inner", ["[" * 100_000, "[" * 900 + "]" * 900, '{"message":' * 100_000, '{"error":' * 300 + "1" + "}" * 300]
)
def test_an_error_that_is_passed_on_as_text_may_nest_as_it_likes(inner: str) -> None:
    answer = read(500, "", json.dumps({"error": {"message": inner}}).encode(), proven=True)
    assert answer.status == 500 and len(answer.words) <= 2_000


@pytest.mark.parametrize("dialect", ["openai", "anthropic", "ollama"])
def test_a_call_of_what_was_not_offered_reaches_who_can_answer_it_beside_the_others(dialect: Dialect) -> None:
    calls = [{"function": {"name": name, "arguments": "{}"}} for name in ("recall", "browse")]
    said = message(content="I look.", tool_calls=[*calls, {}, {"function": {"arguments": '{"a": 1}'}}])
    data = read(200, "", json.dumps(said).encode(), proven=True, tools=["recall"], dialect=dialect).data
    names = {
        "openai": lambda: [c["function"]["name"] for c in data["choices"][0]["message"]["tool_calls"]],
        "anthropic": lambda: [c["name"] for c in data["content"][1:]],
        "ollama": lambda: [c["function"]["name"] for c in data["message"]["tool_calls"]],
    }[dialect]()
    assert names == ["recall", "browse", "unnamed"]


USAGES: dict[str, tuple[dict[str, Any], tuple[int, int]]] = {
    "OpenAI's": ({"prompt_tokens": 900, "prompt_tokens_details": {"cached_tokens": 800}}, (900, 800)),
    "OpenAI's responses": ({"input_tokens": 900, "input_tokens_details": {"cached_tokens": 800}}, (900, 800)),
    "Anthropic's": (
        {"input_tokens": 60, "cache_read_input_tokens": 800, "cache_creation_input_tokens": 40},
        (900, 800),
    ),
    "Anthropic's, by a gateway": (
        {
            "prompt_tokens": 900, "cache_read_input_tokens": 800, "cache_creation_input_tokens": 40,
            "prompt_tokens_details": {"cached_tokens": 800},
        },
        (900, 800),
    ),
    "DeepSeek's": ({"prompt_tokens": 900, "prompt_cache_hit_tokens": 800, "prompt_cache_miss_tokens": 100}, (900, 800)),
    "Moonshot's": ({"prompt_tokens": 900, "cached_tokens": 800}, (900, 800)),
    "nothing said": ({"prompt_tokens": 900, "prompt_tokens_details": None}, (900, 0)),
    "nonsense": ({"prompt_tokens": 900, "prompt_tokens_details": {"cached_tokens": "many"}}, (900, 0)),
}  # fmt: skip


@pytest.mark.parametrize(("usage", "counted"), USAGES.values(), ids=USAGES.keys())
def test_prompt_tokens_and_those_of_them_that_were_cached_are_read_in_any_spelling(
    usage: dict[str, Any], counted: tuple[int, int]
) -> None:
    found = completion_in(completion(GOOD) | {"usage": usage})
    assert found is not None and (found.prompt_tokens, found.cached_tokens) == counted


BROKEN: dict[str, tuple[bytes, int]] = {
    "cut off": (WHOLE[:90], 502),
    "a stream that broke off": (events(*CHUNKS[:2], end=""), 502),
    "a stream of Anthropic's that broke off": (
        events({"type": "content_block_delta", "index": 0, "delta": {"text": GOOD}}, end=""),
        502,
    ),
    "an error in a stream of Anthropic's": (
        events(
            {"type": "content_block_delta", "index": 0, "delta": {"text": "{"}},
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
            end="",
        ),
        529,
    ),
    "an error in a stream": (events(CHUNKS[0], {"error": {"message": "overloaded", "code": 529}}), 529),
    "an error in a choice": (
        json.dumps({"choices": [{"error": {"code": 502, "message": "gone"}, "message": {"content": ""}}]}).encode(),
        502,
    ),
    "an error that finishes": (
        json.dumps({"choices": [{"finish_reason": "error", "message": {"content": ""}}]}).encode(),
        502,
    ),
    "an error beside half an answer": (
        json.dumps(completion("{") | {"error": {"code": 503, "message": "lost the worker"}}).encode(),
        503,
    ),
    "no account": (json.dumps({"error": {"code": "Arrearage", "message": "not in good standing"}}).encode(), 402),
    "too long": (json.dumps({"error": "Context size has been exceeded."}).encode(), 400),
}


@pytest.mark.parametrize(("body", "status"), BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_answer_has_the_status_that_was_meant(body: bytes, status: int) -> None:
    answer = read(200, "application/json", body, proven=True)
    assert (answer.ok, answer.status) == (False, status)
    assert answer.words and "\n" not in answer.words


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "content", "text", "error", "data", "usage", "tool_calls", "delta"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(VALUES, st.integers(200, 599))
def test_no_body_breaks_the_reader(value: Any, status: int) -> None:
    answer = read(status, "application/json", json.dumps(value).encode(), proven=False, tools=["recall"])
    assert answer.ok == (answer.data is not None)
    assert answer.ok or answer.words or status >= 300


def pieces(*calls: dict[str, Any]) -> list[dict[str, Any]]:
    return [chunk({"content": None}), *(chunk({"tool_calls": [one]}) for one in calls), chunk({}, "tool_calls")]


def part(arguments: Any, **known: Any) -> dict[str, Any]:
    return known | {"function": {"name": known.pop("name", None), "arguments": arguments}}


STREAMED = {
    "by number": pieces(
        part('{"q":', index=0, id="a", name="recall"), part("1}", index=0),
        part('{"q":', index=1, id="b", name="recall"), part("2}", index=1),
    ),
    "by id alone": pieces(
        part('{"q":', id="a", name="recall"), part("1}"), part('{"q":', id="b", name="recall"), part("2}"),
    ),
    "with one number for all": pieces(
        part('{"q":1}', index=0, id="a", name="recall"), part('{"q":2}', index=0, id="b", name="recall"),
    ),
    "with its id in every piece": pieces(
        part('{"q":', id="a", name="recall"), part("1}", id="a"), part('{"q":2}', id="b", name="recall"),
    ),
    "whole, as objects": pieces(
        part({"q": 1}, index=0, name="recall"), {"index": 1, "name": "recall", "arguments": {"q": 2}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("chunks", STREAMED.values(), ids=STREAMED.keys())
def test_calls_that_come_in_pieces_are_told_apart(chunks: list[dict[str, Any]]) -> None:
    data = read(200, "text/event-stream", events(*chunks), proven=True, tools=["recall"]).data
    calls = data["choices"][0]["message"]["tool_calls"]
    assert [json.loads(call["function"]["arguments"]) for call in calls] == [{"q": 1}, {"q": 2}]


ODD: tuple[Any, ...] = (None, True, 7, "x", [], {}, ["x"], [{}], {"content": 5}, {"function": "x"}, {"index": []})


def spoiled(value: Any) -> Iterator[Any]:
    """The value with one place of it, and one after the other, holding what nobody expects there."""
    yield from ODD
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            for inner in spoiled(value[key]):
                changed = value.copy()
                changed[key] = inner
                yield changed


@pytest.mark.parametrize("whole", [*SHAPES.values(), *STREAMED.values()], ids=[*SHAPES, *STREAMED])
def test_no_place_of_an_answer_breaks_the_reader_whatever_stands_there(whole: Any) -> None:
    for odd in spoiled(whole):
        answer = read(200, "application/json", json.dumps(odd).encode(), proven=False, tools=["recall"])
        assert answer.ok == (answer.data is not None)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(body: bytes) -> None:
    assert not read(200, "application/json", body, proven=True).ok

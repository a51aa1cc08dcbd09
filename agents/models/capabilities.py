"""What one endpoint takes, and what a refusal teaches about it. Pure: request bodies and the server's words in, out.

`Capabilities` is the table; `adapt` writes a request's body so that an endpoint with these capabilities takes it;
`alternatives` reads a refusal (status 400 and its kin) and gives the capabilities worth trying next, each of which
changes only what the refusal names. Who tries them, keeps one that helped and takes back one that did not: wire.py.
Bodies are those of OpenAI's chat completions, Anthropic's messages and Ollama's chat, told apart by their own keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

Body = dict[str, Any]
SchemaWay = Literal["schema", "json", "prompt"]
WAYS: tuple[SchemaWay, ...] = ("schema", "json", "prompt")  # strictest first; the schema stands in the prompt in all
LimitName = Literal["max_tokens", "max_completion_tokens", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What an endpoint takes. Starts at everything; a refusal that names a thing switches that thing alone."""

    schema: SchemaWay = "schema"  # how a form of the reply is asked for
    limit: LimitName = "max_tokens"  # what bounds a reply's tokens is called
    reply_cap: int | None = None  # tokens of a reply that it allows at most
    seed: bool = True
    temperature: bool = True
    effort: bool = True  # reasoning effort
    names: bool = True  # `name` in a message
    tools: bool = True
    alternate: bool = False  # user and assistant must take turns: neighbours of one role are merged
    system: bool = True  # False: the system's words go into the first user message


def adapt(body: Mapping[str, Any], able: Capabilities) -> Body:
    """The request's body as this endpoint takes it; the body itself is not changed."""
    sent: Body = dict(body)
    _schema(sent, able.schema)
    _limit(sent, able)
    if isinstance(options := sent.get("options"), dict):  # Ollama keeps sampling there
        sent["options"] = dict(options)
    for holder in (sent, sent.get("options")):
        if isinstance(holder, dict):
            if not able.seed:
                holder.pop("seed", None)
            if not able.temperature:
                holder.pop("temperature", None)
    if not able.effort:
        for key in ("reasoning_effort", "output_config", "think"):
            sent.pop(key, None)
    if not able.tools:
        for key in ("tools", "tool_choice", "parallel_tool_calls"):
            sent.pop(key, None)
    if isinstance(messages := sent.get("messages"), list):
        sent["messages"] = _messages(messages, able)
    return sent


@dataclass(frozen=True, slots=True)
class _Cause:
    """One thing that a refusal may name, and what to try then, best first."""

    name: str
    words: re.Pattern[str]
    change: Callable[[Capabilities, str], Iterable[Capabilities]]


def alternatives(words: str, body: Mapping[str, Any], able: Capabilities) -> list[Capabilities]:
    """What to try after a refusal in these words: only what it names, and only what would change this request."""
    named = [cause for cause in _CAUSES if cause.words.search(words)]
    parameter = re.search(r"""\bparam(?:eter)?\b["'`:\s]+([\w.\[\]]+)""", words)
    if parameter:  # the server says itself which one it means
        exact = [cause for cause in named if cause.words.search(parameter[1])]
        named = exact or named
    now = adapt(body, able)
    found = [choice for cause in named for choice in cause.change(able, words)]
    if len(named) > 1:  # it may mean all of them at once
        combined = able
        for cause in named:
            combined = [*cause.change(combined, words), combined][0 if cause.name == "limit" else -2]
        found.append(combined)
    return [choice for choice in found if adapt(body, choice) != now]


def weaker_schema(body: Mapping[str, Any], able: Capabilities) -> list[Capabilities]:
    """The next ways of asking for a form: for a refusal without a reason, from an endpoint that never worked."""
    now = adapt(body, able)
    return [choice for choice in _ways(able, "") if adapt(body, choice) != now]


def _ways(able: Capabilities, _: str) -> Iterable[Capabilities]:
    return [replace(able, schema=way) for way in WAYS[WAYS.index(able.schema) + 1 :]]


def _limits(able: Capabilities, words: str) -> Iterable[Capabilities]:
    if cap := _at_most(words):
        yield replace(able, reply_cap=cap)
    others: tuple[LimitName, ...] = ("max_completion_tokens", "max_tokens", "none")
    yield from (replace(able, limit=other) for other in others if other != able.limit)


_MOST = (
    r"\d+\s*>\s*(\d+)",
    r"(?:at most|(?:less|lower) than or equal to|up to|maximum (?:of|is|value is)|limit of|<=)\s*`?(\d+)",
    r"\[\s*\d+\s*,\s*(\d+)\s*\]",
    r"tokens`?\s*>\s*(\d+)",
)


def _at_most(words: str) -> int | None:
    """The most tokens of a reply that the server says it allows."""
    if excluded := re.search(r"to (\d+) \(exclusive\)", words):
        return int(excluded[1]) - 1
    found = next((m for pattern in _MOST if (m := re.search(pattern, words, re.I))), None)
    return int(found[1]) if found else None


def is_reply_limit(words: str) -> bool:
    """Whether a refusal is about the tokens that a reply was promised, and not about the prompt."""
    return bool(_REPLY_LIMIT.search(words)) and not re.search(r"\binput|prompt|messages|context length", words, re.I)


_REPLY_LIMIT = re.compile(
    r"max(?:imum)?[_ ]?(?:completion[_ ]|new[_ ]|output[_ ]?)?tokens|num_predict|maximum output length", re.I
)


_CAUSES: tuple[_Cause, ...] = (
    _Cause(
        "schema",
        re.compile(
            r"response_?format|json_?schema|json_?object|json.?mode|structured.?output|grammar|guided|schema|\bformat\b"
            r"|requested parameters",
            re.I,
        ),
        _ways,
    ),
    _Cause("limit", _REPLY_LIMIT, _limits),
    _Cause("seed", re.compile(r"\bseed\b", re.I), lambda able, _: [replace(able, seed=False)]),
    _Cause("temperature", re.compile(r"\btemperature\b", re.I), lambda able, _: [replace(able, temperature=False)]),
    _Cause(
        "effort",
        re.compile(r"reasoning|\beffort\b|output_config|\bthink(?:ing)?\b", re.I),
        lambda able, _: [replace(able, effort=False)],
    ),
    _Cause(
        "names",
        re.compile(
            r"messages\W*\d*\W*name\b|['\"`]name['\"`]|\bname\b.{0,30}(?:not|unsupported|unexpected|extra)", re.I
        ),
        lambda able, _: [replace(able, names=False)],
    ),
    _Cause(
        "alternate",
        re.compile(
            r"alternat|consecutive|take turns|in turn|user/assistant|first message.*user|last message.*user", re.I
        ),
        lambda able, _: [replace(able, alternate=True), replace(able, alternate=True, system=False)],
    ),
    _Cause(
        "system",
        re.compile(
            r"system.{0,3}(?:role|message|prompt|instruction)|role.{0,20}system|developer.{0,12}(?:role|instruction|message)"
            r"|only user.*assistant|messages\W*\d+\W*role|permitted: 'user', 'assistant'",
            re.I,
        ),
        lambda able, _: [replace(able, system=False), replace(able, alternate=True, system=False)],
    ),
    _Cause(
        "tools",
        re.compile(r"\btools?\b|tool_choice|function.?call", re.I),
        lambda able, _: [replace(able, tools=False)],
    ),
)


def _schema(sent: Body, way: SchemaWay) -> None:
    if way == "schema":
        return
    asked = sent.get("response_format")
    if isinstance(asked, dict):
        if way == "json" and asked.get("type") == "json_schema":
            sent["response_format"] = {"type": "json_object"}
        elif way == "prompt":
            del sent["response_format"]
    if "format" in sent:  # Ollama's
        sent["format"] = "json" if way == "json" else None
        if way == "prompt":
            del sent["format"]


def _limit(sent: Body, able: Capabilities) -> None:
    for name in ("max_tokens", "max_completion_tokens"):
        if isinstance(asked := sent.get(name), int):
            if able.limit != "max_tokens":
                del sent[name]
            value = min(asked, able.reply_cap or asked)
            if able.limit != "none":
                sent[able.limit if able.limit != "max_tokens" else name] = value
            return


def _messages(messages: Sequence[Any], able: Capabilities) -> list[Any]:
    found = [dict(m) if isinstance(m, Mapping) else m for m in messages]
    if not able.names:
        for message in found:
            message.pop("name", None)
    if not able.system:
        found = _folded(found)
    return _merged(found) if able.alternate else found


def _folded(messages: list[Body]) -> list[Body]:
    """The system's words in front of the first user message."""
    words = [m["content"] for m in messages if m.get("role") in ("system", "developer")]
    rest = [m for m in messages if m.get("role") not in ("system", "developer")]
    if not words:
        return rest
    place = next((i for i, m in enumerate(rest) if m.get("role") == "user"), None)
    if place is None:
        return [{"role": "user", "content": _joined(words)}, *rest]
    rest[place] = rest[place] | {"content": _joined([*words, rest[place]["content"]])}
    return rest


def _merged(messages: list[Body]) -> list[Body]:
    """Neighbours of one role as one message; tool calls and their results stay apart."""
    merged: list[Body] = []
    for message in messages:
        before = merged[-1] if merged else {}
        plain = message.get("role") in ("user", "assistant", "system") and "tool_calls" not in message
        if plain and before.get("role") == message["role"] and "tool_calls" not in before:
            merged[-1] = before | {"content": _joined([before.get("content"), message.get("content")])}
        else:
            merged.append(message)
    return merged


def _joined(parts: Sequence[Any]) -> Any:
    kept = [part for part in parts if part]
    if all(isinstance(part, str) for part in kept):
        return "\n\n".join(kept)
    return [item for part in kept for item in ([{"type": "text", "text": part}] if isinstance(part, str) else part)]

"""Calls of tools, as servers hand them over or leave them in the text that their model wrote. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from autogen_core import FunctionCall

from move37.agents.replies import LONGEST_FILE

LONGEST_CALL = 2 * LONGEST_FILE  # characters of one call's arguments: a file in quotes
LONGEST_SHOWN = 100  # of one that is longer
CUT = " ... [cut by the lab]"  # behind it
MOST_CALLS = 24  # of one reply that are answered: a role may make half as many in a stage (agents/tools.py)
UNNAMED = "unnamed"  # what a call without a name is called: servers refuse an empty one in what was said before
_ARGUMENTS = ("arguments", "input", "parameters", "args")
_CALL_MARK = re.compile(r"<tool_call>|\[TOOL_CALLS\]|<\|python_tag\|>|<function=|<\|tool_call|<｜tool")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A tool that the model wants called."""

    id: str
    name: str
    arguments: str  # JSON


def marks_calls(text: str) -> bool:
    """Whether a model marked something in its text as a call."""
    return bool(_CALL_MARK.search(text))


def says_anything(call: Mapping[str, Any]) -> bool:
    """Whether an entry among the calls has a name or arguments: some servers send empty ones beside an answer."""
    inner = _inner(call)
    return bool(inner.get("name")) or any(inner.get(key) for key in _ARGUMENTS)


def call_of(call: Mapping[str, Any], place: int) -> ToolCall:
    inner = _inner(call)
    arguments: Any = next((inner[key] for key in _ARGUMENTS if inner.get(key) is not None), {})
    return ToolCall(
        id=str(call.get("id") or call.get("call_id") or f"call_{place}"),
        name=str(inner.get("name") or UNNAMED),
        arguments=arguments if isinstance(arguments, str) else json.dumps(arguments),
    )


def told_apart(calls: Iterable[ToolCall]) -> tuple[ToolCall, ...]:
    """The calls of one reply, each under an id of its own: some servers number none of them, or all alike."""
    found: dict[str, ToolCall] = {}
    for place, call in enumerate(calls):
        ident = call.id if call.id not in found else f"{call.id}_{place}"
        found[ident] = replace(call, id=ident)
    return tuple(found.values())


def _inner(call: Mapping[str, Any]) -> Mapping[str, Any]:
    return call["function"] if isinstance(call.get("function"), Mapping) else call


def calls_in(text: str, tools: Collection[str]) -> list[ToolCall]:
    """Calls that a server left in the text, which its model had marked as calls; of other tools those with arguments of
    their own."""
    found: list[ToolCall] = []
    place, decoder = _CALL_MARK.search(text), json.JSONDecoder(strict=False)
    at = place.start() if place else len(text)
    while (at := text.find("{", at)) >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
            continue
        before = re.findall(
            r"(?:<function=|\[TOOL_CALLS\]|<\|tool_call_begin\|>)\s*(?:functions\.)?([\w.-]+)", text[:at]
        )
        if isinstance(value, dict) and not (isinstance(value.get("name"), str) and "." not in value) and before:
            value = {"name": before[-1], "arguments": value}
        if isinstance(value, dict):
            call = call_of(value, len(found))
            if call.name in tools or (call.name != UNNAMED and any(key in _inner(value) for key in _ARGUMENTS)):
                found.append(call)
        at = end
    for name, inside in re.findall(r"<function=([\w.-]+)>(.*?)</function>", text, re.S):
        given = dict(re.findall(r"<parameter=([\w.-]+)>\n?(.*?)\n?</parameter>", inside, re.S))
        if given and not found:
            found.append(ToolCall(id=f"call_{len(found)}", name=name, arguments=json.dumps(given)))
    return found


def bounded(calls: Any) -> list[FunctionCall]:
    """What of a reply's calls a conversation can carry: the first of them, and of too long arguments the beginning.

    What is cut is no JSON any more: its tool is not called, and the model hears why (language_model.not_called).
    """
    kept = calls[:MOST_CALLS]
    return [replace(c, arguments=cut_call(c.arguments)) if len(c.arguments) > LONGEST_CALL else c for c in kept]


def cut_call(arguments: str) -> str:
    """The beginning of arguments that are too long, and how long they were."""
    return f"{arguments[:LONGEST_SHOWN]}{CUT} ({len(arguments)} characters)"

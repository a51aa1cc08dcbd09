"""The object in a model's text: found wherever it stands, repaired where models usually break it, never a draft. Pure.

    text -> what follows the last </think> -> every {...} in it -> the last one that fits the form

Repaired: prose, fences and tags around it, what is no JSON (lenient.py), what has another shape (fitting.py), a file or
edits that stand beside it where a form wants `source` (fences.py). Not guessed: a field that is missing, or the rest of
a reply that was cut off.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Collection, Iterator
from typing import Any

from autogen_core.models import CreateResult
from pydantic import BaseModel, ValidationError

from move37.agents.models.calls import marks_calls
from move37.agents.models.fences import edits_in, file_in, is_python, plain_source
from move37.agents.models.fitting import fitted, names_in
from move37.agents.models.lenient import read, strict, unescaped

MOST_STARTS = 200  # brackets in a reply at which an object is looked for
MOST_BROKEN = 10  # of them that are no value, after which nothing is repaired any more: each costs a walk to the end
_END_OF_THINKING = re.compile(
    r"</[\w:]*think(?:ing)?>|</(?:reasoning|thoughts?|scratchpad|reflection|analysis)>|\[/THINK\]|<\|end_of_thought\|>"
    r"|◁/think▷|&lt;/think(?:ing)?&gt;|<\|channel\|>\s*final\b[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>",
    re.I,
)
_THINKING = re.compile(
    r"<[\w:]*think(?:ing)?(?:\s[^<>]*)?>|<(?:reasoning|thoughts?|scratchpad)>|\[THINK\]|<\|begin_of_thought\|>|◁think▷"
    r"|<\|channel\|>\s*analysis",
    re.I,
)
_ANSWER = re.compile(r"<(?:final_)?answer>", re.I)
_END_OF_TURN = re.compile(r"<\|(?:im_end|eot_id|eom_id|endoftext|end_of_text|end_of_turn|return)\|>|<end_of_turn>|</s>")
_PARAMETER = re.compile(
    r"<parameter(?:=|\s+name=)[\"']?([\w.-]+)[\"']?>\n?(.*?)\n?</parameter>"
    r"|<arg_key>([\w.-]+)</arg_key>\s*<arg_value>\n?(.*?)\n?</arg_value>",
    re.S,
)


def answered(
    result: CreateResult, form: type[BaseModel], tools: Collection[str]
) -> tuple[str, BaseModel | None, str] | None:
    """The text of an answer, the reply in it, and what is wrong with it; None where tools are to be called.

    Some models hand the reply over as if its form were a function: a call of a tool that was not offered may be it.
    """
    cut, calls = result.finish_reason == "length", [] if isinstance(result.content, str) else result.content
    if any(call.name in tools for call in calls):
        return None
    said = result.content if isinstance(result.content, str) else result.thought or ""
    readings = [(text, *validated(text, form, cut=cut)) for text in (said, *(c.arguments for c in reversed(calls)))]
    found = next((reading for reading in readings if reading[1] is not None), readings[0])
    if found[1] is None and calls and tools:
        return None
    if found[1] is None and not tools and (calls or marks_calls(said)):
        return said, None, f"no tool can be called now ({found[2]})"
    return found


def validated(text: str, form: type[BaseModel], *, cut: bool = False) -> tuple[BaseModel | None, str]:
    """The reply in `text` as an instance of `form`; or None and what is wrong, for the model to read.

    `cut`: the reply ended at its limit of tokens, so that what has no end has lost it.
    """
    text = text.strip().strip("\ufeff\u200b").strip()
    whole = strict(text)
    if isinstance(whole, dict | list) and (reply := _fitting(whole, form)[0]) is not None:
        return _with_file(reply, "", form, cut), ""  # markers inside its strings are its own
    answer, thinking = _answer(text, form)
    problem = (
        "the reply ended inside its thinking, before an answer" if thinking else "there is no JSON object in the reply"
    )
    for written in _readings(answer):
        reply, why = _last(written, form, cut)
        problem = why if why and not thinking else problem
        if reply is not None:
            return reply, ""
    return None, problem


def _last(text: str, form: type[BaseModel], cut: bool) -> tuple[BaseModel | None, str]:
    """The last object of a text that fits, completed by the file beside it; or the file alone."""
    found: BaseModel | None = None
    problem = ""
    for value in _objects(text, form, cut):
        reply, why = _fitting(value, form)
        found = reply or found
        problem = why if isinstance(value, dict) else problem
    if found is None and (fields := _spelled_out(text, form)):
        found = _fitting(fields, form)[0]
    if found is not None:
        return _with_file(found, text, form, cut), ""
    return _file(text, form, cut), problem


def _spelled_out(text: str, form: type[BaseModel]) -> dict[str, str]:
    """Fields that stand as tags or as lines that begin with their names; nothing where one that is needed is absent."""
    names = "|".join(form.model_fields)
    label = rf"^[ \t#>*\d.)-]*[*_`\"']*({names})[*_`\"']*[ \t]*[:：][*_`]*"
    patterns = (rf"<({names})>\s*(.*?)\s*</\1>", rf"(?ms){label}[ \t]*(.*?)\s*(?={label}|\Z)")
    needed = {name for name, field in form.model_fields.items() if field.is_required()}
    for pattern in patterns:
        found = {m[1].lower(): m[2] for m in re.finditer(pattern, text, re.S | re.I)}
        if needed and needed <= found.keys():
            return found
    return {}


def _readings(text: str) -> Iterator[str]:
    """The text, and what it is where it was escaped once more."""
    yield text
    if "&quot;" in text:
        yield html.unescape(text)
    if re.search(r'[{\[]\s*(?:\\n\s*)?\\"', text):
        yield unescaped(text)


def _answer(text: str, form: type[BaseModel]) -> tuple[str, bool]:
    """What follows the thinking, until the turn ends; and whether the thinking never ended."""
    marked = bool(_END_OF_THINKING.search(text) or _THINKING.search(text) or _END_OF_TURN.search(text))
    inside = _spans(text, form) if marked else []

    def found(pattern: re.Pattern[str], start: int) -> list[re.Match[str]]:
        return [m for m in pattern.finditer(text, start) if not any(a < m.start() < b for a, b in inside)]

    ends, begins = found(_END_OF_THINKING, 0), found(_THINKING, 0)
    while ends and not text[ends[-1].end() :].strip():  # it thought about its answer once it had given it
        before = ends[-2].end() if len(ends) > 1 else 0
        begun = next((m.start() for m in begins if before <= m.start() < ends[-1].start()), None)
        if begun is None:
            break
        text = text[:begun]
        ends.pop()
    start = ends[-1].end() if ends else 0
    opened = next(iter(found(_THINKING, start)), None)
    if opened and (announced := found(_ANSWER, opened.end())):  # its thinking has no end but this
        return text[announced[-1].end() :], False
    stop = opened.start() if opened else len(text)
    over = next((m.start() for m in found(_END_OF_TURN, start) if text[start : m.start()].strip()), stop)
    return text[start : min(stop, over)], opened is not None


def _spans(text: str, form: type[BaseModel]) -> list[tuple[int, int]]:
    """Where objects stand that have the form: a marker in one of their strings is the string's own."""
    found, place, decoder = [], 0, json.JSONDecoder(strict=False)
    for _ in range(MOST_STARTS):
        place = text.find("{", place)
        if place < 0:
            break
        try:
            value, end = decoder.raw_decode(text, place)
        except (RecursionError, ValueError):
            place += 1
            continue
        if _fitting(value, form)[0] is not None:
            found.append((place, end))
        place = end
    return found


def _fitting(value: Any, form: type[BaseModel]) -> tuple[BaseModel | None, str]:
    reply, problem = fitted(value, form)
    source = getattr(reply, "source", None)
    if reply is not None and isinstance(source, str) and source:
        reply = reply.model_copy(update={"source": plain_source(source)})
    return reply, problem


def _with_file(reply: BaseModel, text: str, form: type[BaseModel], cut: bool) -> BaseModel:
    """The reply with the file that stands beside its object, where the object has none."""
    source = getattr(reply, "source", None)
    if source is None or getattr(reply, "edits", None) or (source and ("\n" in source or is_python(source))):
        return reply
    if edits := edits_in(text):
        return form.model_validate(reply.model_dump() | {"edits": edits, "source": ""})
    beside = file_in(text, complete=not cut)
    return reply.model_copy(update={"source": beside[0]}) if beside is not None and is_python(beside[0]) else reply


def _file(text: str, form: type[BaseModel], cut: bool) -> BaseModel | None:
    """A reply that holds no object: edits, or the one file; what it says beside the file is its diagnosis."""
    if "source" not in form.model_fields:
        return None
    edits, file = edits_in(text), file_in(text, complete=not cut)
    said = re.sub(r"(?s)<{5,9} ?SEARCH.*>{5,9} ?REPLACE|^[ \t]*(?:```|~~~).*$", "", text).strip() if edits else ""
    given: dict[str, Any] = {"edits": edits} if edits else {"source": file[0]} if file else {}
    if not given:
        return None
    if "diagnosis" in form.model_fields:
        given["diagnosis"] = said if edits else file[1] if file else ""
    try:
        return form.model_validate(given)
    except ValidationError:
        return None


def _objects(text: str, form: type[BaseModel], cut: bool) -> Iterator[Any]:
    """Every object or list that starts somewhere in `text`, outermost first; text that is one string is read again."""
    inner = strict(text.strip())
    if isinstance(inner, str) and "{" in inner:
        text = inner
    names = names_in(form)
    if parameters := _PARAMETER.findall(text):
        yield {key or other: _value(value or given) for key, value, other, given in parameters}
    if re.match(rf"[\s`json]*[\"']?(?:{'|'.join(form.model_fields)})[\"']?\s*[:=]", text) and "}" in text:
        text = "{" + text.lstrip(" \n`json")  # a server that had begun the object itself did not give its bracket
    starts = re.compile(rf"[{{\[]|\b(?:dict|{form.__name__})\((?=\s*\w+\s*=)")
    decoder = json.JSONDecoder(strict=False)  # models put raw newlines into strings
    place = tries = broken = 0
    while (start := starts.search(text, place)) and tries < MOST_STARTS:
        tries, place = tries + 1, start.start()
        try:
            value, end = decoder.raw_decode(text, place)
        except (RecursionError, ValueError):
            read_as = None
            if broken < MOST_BROKEN:
                read_as = read(text, place, complete=not cut) or read(text, place, names=names, complete=not cut)
                broken += read_as is None
            if read_as is None:
                place += 1
                continue
            value, end = read_as
        if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict) for item in value)):
            yield value
            place = end
        else:
            place += 1


def _value(text: str) -> Any:
    """A parameter's value: JSON where it is some, else its text."""
    value = strict(text.strip())
    return text if value is None or (isinstance(value, str | int | float) and not isinstance(value, bool)) else value

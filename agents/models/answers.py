"""The object in a model's text: found wherever it stands, mended where models usually break it, never a draft. Pure.

    text -> what follows the last </think> -> every {...} in it -> the last one that validates against the form

Mended: prose and fences around it, a wrapper with the form's name, an object inside a JSON string, Python's True, None
and quotes, trailing commas, raw newlines in strings, a fenced file where a form wants `source`. Not guessed: a field
that is missing.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

MOST_STARTS = 200  # braces in a reply at which an object is looked for
MOST_UNCLOSED = 10  # braces without an end after which nothing is mended any more: each costs a walk to the end
DEEPEST = 3  # wrappers around wrappers
_END_OF_THINKING = re.compile(
    r"</think(?:ing)?>|</reasoning>|</thought>|\[/THINK\]|<\|end_of_thought\|>|<\|channel\|>final<\|message\|>", re.I
)
_THINKING = re.compile(
    r"<think(?:ing)?>|<reasoning>|<thought>|\[THINK\]|<\|begin_of_thought\|>|<\|channel\|>analysis", re.I
)
_FENCE = re.compile(r"^```[\w+.-]*[ \t]*\n(.*?)^```[ \t]*$", re.S | re.M)
_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|\b(?:true|false|null|NaN|Infinity)\b', re.S)
_PYTHON = {"true": "True", "false": "False", "null": "None", "NaN": "None", "Infinity": "None"}


def validated(text: str, form: type[BaseModel]) -> tuple[BaseModel | None, str]:
    """The reply in `text` as an instance of `form`; or None and what is wrong, for the model to read."""
    whole = _json(text.strip())
    if isinstance(whole, dict) and (reply := _fitting(whole, form)[0]) is not None:
        return reply, ""  # markers inside its strings are its own
    answer, thinking = _answer(text)
    if thinking:
        return None, "the reply ended inside its thinking, before an answer"
    problem = "there is no JSON object in the reply"
    found: BaseModel | None = None
    for value in _objects(answer):
        reply, why = _fitting(value, form)
        found = reply or found
        problem = why or problem
    if found is None and (block := _fenced_file(answer, form)) is not None:
        found = block
    return (found, "") if found is not None else (None, problem)


def _answer(text: str) -> tuple[str, bool]:
    """What follows the thinking; and whether the thinking never ended."""
    ends = list(_END_OF_THINKING.finditer(text))
    rest = text[ends[-1].end() :] if ends else text
    opened = _THINKING.match(rest.lstrip())
    return rest, opened is not None


def _fitting(value: Any, form: type[BaseModel], depth: int = 0) -> tuple[BaseModel | None, str]:
    """`value`, or what it wraps, as the form; or what is wrong with `value` itself."""
    problem = f"the object has none of the fields {', '.join(form.model_fields)}"
    if (
        isinstance(value, Mapping) and value.keys() & form.model_fields.keys()
    ):  # where all may be left out, any would fit
        try:
            return form.model_validate(_unfenced(value)), ""
        except ValidationError as error:
            problem = "; ".join(_clause(item) for item in error.errors()[:5])
    if depth < DEEPEST and isinstance(value, Mapping):
        for inner in reversed([*value.values()]):  # a draft stands before what it became
            unwrapped = _json(inner.strip()) if isinstance(inner, str) and inner.strip()[:1] == "{" else inner
            if isinstance(unwrapped, Mapping):
                reply, _ = _fitting(unwrapped, form, depth + 1)
                if reply is not None:
                    return reply, ""
    return None, problem


def _unfenced(value: Any) -> Any:
    """A file that was fenced inside its string."""
    source = value.get("source") if isinstance(value, Mapping) else None
    if isinstance(source, str) and (fence := _FENCE.fullmatch(source.strip())):
        return {**value, "source": fence[1]}
    return value


def _fenced_file(text: str, form: type[BaseModel]) -> BaseModel | None:
    """The one fenced block of a reply that holds no object, where the form is a file and nothing else is required."""
    blocks = _FENCE.findall(text)
    if "source" not in form.model_fields or len(blocks) != 1:
        return None
    try:
        return form.model_validate({"source": blocks[0]})
    except ValidationError:
        return None


def _objects(text: str) -> Iterator[Any]:
    """Every object that starts somewhere in `text`, outermost first; text that is one JSON string is read again."""
    inner = _json(text.strip())
    if isinstance(inner, str) and "{" in inner:
        text = inner
    decoder = json.JSONDecoder(strict=False)  # models put raw newlines into strings
    place = tries = unclosed = 0
    while (place := text.find("{", place)) >= 0 and tries < MOST_STARTS:
        tries += 1
        try:
            value, place = decoder.raw_decode(text, place)
            yield value
            continue
        except (RecursionError, ValueError):
            pass
        end = _closing(text, place) if unclosed < MOST_UNCLOSED else 0
        unclosed += not end
        value = _python(text[place:end]) if end else None
        if isinstance(value, dict):
            yield value
            place = end
        else:
            place += 1


def _closing(text: str, start: int) -> int:
    """The end of the braces that open at `start`; 0 when they never close. Strings do not count."""
    depth, place, quote = 0, start, ""
    while place < len(text):
        char = text[place]
        if quote:
            if char == "\\":
                place += 1
            elif char == quote:
                quote = ""
        elif char == '"' or (char == "'" and text[place - 1] in "{[,: \n\t("):
            quote = char
        elif char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                return place + 1
        place += 1
    return 0


def _python(piece: str) -> Any:
    """A dict as Python writes it, or JSON with trailing commas; None when it is neither."""

    def spelled(found: re.Match[str]) -> str:
        token = found[0]
        return token.replace("\r", "\\r").replace("\n", "\\n") if token[0] in "\"'" else _PYTHON[token]

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes
            return ast.literal_eval(_TOKEN.sub(spelled, piece))
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None


def _json(text: str) -> Any:
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None


def _clause(item: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in item["loc"]) or "the reply"
    return f"{where}: {item['msg']}"

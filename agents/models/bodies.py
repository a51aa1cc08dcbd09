"""A server's answer, read before it is judged. Pure: status, headers and bytes in, a `Body` out.

Servers say "200" and mean an error, leave out what the SDKs rely on, and put an answer into a field that no SDK reads.
`read` gives every answer one of two meanings: a completion in the form that the SDKs parse, or a failure with the
status that it should have had and the server's own words. Read `read` first; what
is repaired: streams.py, completions.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from move37.agents.models.completions import Completion, completion_in
from move37.agents.models.dialects import Dialect, written
from move37.agents.models.streams import data_in, decoded

NO_COMPLETION = 502  # an answer that is none: the endpoint is at fault, and may do better
LONGEST_WORDS = 2_000  # characters of a server's words that are kept
_MESSAGE_KEYS = (
    "message",
    "msg",
    "error",
    "errors",
    "detail",
    "title",
    "reason",
    "code",
    "type",
    "param",
    "loc",
    "name",
    "n_ctx",
    "n_prompt_tokens",
    "status",
    "metadata",
    "raw",
    "innererror",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointAnswer:
    """What a server meant."""

    status: int
    data: Any = None  # a completion, ready for the SDK; None for a failure
    words: str = ""  # of a failure: the server's own
    cached_tokens: int = 0  # of the prompt
    after: str = ""  # how long to wait, where a failure's body says so outside its words

    @property
    def ok(self) -> bool:
        """Whether it is a completion."""
        return self.status < 300 and not self.words


def read(
    status: int,
    content_type: str,
    body: bytes,
    *,
    proven: bool,
    tools: Collection[str] = (),
    dialect: Dialect = "openai",
    model: str = "",
) -> EndpointAnswer:
    """The meaning of an answer; `proven`: the endpoint has given a completion before, `tools`: those it was offered."""
    text = decoded(body, content_type)
    try:
        data = data_in(text)
    except ValueError:
        return _no_json(status, content_type, text, proven=proven)
    if status >= 300:
        return EndpointAnswer(status=status, words=words_of(data), after=_wait_in(data))
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    found = completion_in(data, tools=tools)
    failure = _failure(data, found) if isinstance(data, dict) else None
    if failure is not None:
        return failure
    if found is None:
        kind = "a completion without choices" if isinstance(data, dict) and "choices" in data else ""
        return EndpointAnswer(
            status=NO_COMPLETION, words=kind or f"an answer that is no completion: {' '.join(text[:200].split())}"
        )
    if found.error and not found.text.strip():
        return _failed(found.error, {})
    return EndpointAnswer(status=200, data=written(found, dialect, model), cached_tokens=found.cached_tokens)


def words_of(data: Any) -> str:
    """The server's words in an error's body, in a line; what it repeats of the request is left out."""
    return " ".join(_UNSEEN.sub(" ", " ".join(_said(data))).split())[:LONGEST_WORDS]


_UNSEEN = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x1f\x7f-\x9f]")
_WAITS = re.compile(r"retry_?(?:after|delay|in)(_?seconds|_?ms)?|estimated_?time", re.I)


def _wait_in(data: Any, depth: int = 0) -> str:
    """A time to wait that stands as a number of its own in a failure's body."""
    if depth > 5:
        return ""
    inside = data.values() if isinstance(data, dict) else data if isinstance(data, list) else []
    for key, value in data.items() if isinstance(data, dict) else ():
        named = _WAITS.fullmatch(str(key))
        if named and isinstance(value, int | float | str) and not isinstance(value, bool):
            return f"{value}ms" if (named[1] or "").lower().endswith("ms") else str(value)
    return next((found for value in inside if (found := _wait_in(value, depth + 1))), "")


def _said(data: Any, depth: int = 0) -> list[str]:
    if depth > 20:  # whoever nests so deep wants the reader to break
        return []
    if isinstance(data, str):
        inner = data.strip()
        if inner.startswith(("{", "[")):  # proxies pass an error on as a string
            try:
                return _said(json.loads(inner), depth + 1)
            except (ValueError, RecursionError):
                pass
        return [inner] if inner else []
    if isinstance(data, bool) or data is None:
        return []
    if isinstance(data, int | float):
        return [str(data)]
    if isinstance(data, list):
        return [word for item in data[:10] for word in _said(item, depth + 1)]
    if isinstance(data, dict):
        kinds = ("param", "code", "type")
        said = {key: _said(data.get(key), depth + 1) for key in (*_MESSAGE_KEYS, *kinds)}
        first = [word for key in _MESSAGE_KEYS if key not in kinds for word in said[key]]
        return first + [f"{key}: {word}" for key in kinds for word in said[key]]
    return []


def _no_json(status: int, content_type: str, text: str, *, proven: bool) -> EndpointAnswer:
    page = "html" in content_type or text[:1] == "<"
    line = " ".join(_UNSEEN.sub(" ", text[:LONGEST_WORDS]).split())
    if status >= 300:
        return EndpointAnswer(status=status, words=_title(text) if page else line or f"status {status}")
    if page:
        words = f"a web page instead of JSON ({_title(text)})"
        return EndpointAnswer(status=503 if proven else 404, words=words)
    return EndpointAnswer(status=NO_COMPLETION, words=f"an answer that is no JSON: {line[:200] or 'nothing'}")


def _title(text: str) -> str:
    found = re.search(r"<title[^>]*>(.*?)</title>", text, re.I | re.S) or re.search(
        r"<h1[^>]*>(.*?)</h1>", text, re.I | re.S
    )
    plain = found[1] if found else re.sub(r"<[^>]*>", " ", text)
    return " ".join(plain.split())[:200] or "empty"


def _failure(data: Mapping[str, Any], found: Completion | None) -> EndpointAnswer | None:
    """An error inside a 200, with the status that it should have had."""
    error = data.get("error") or data.get("errors")
    if data.get("type") == "error" or data.get("object") == "error":
        error = error or data
    if found is not None and (found.text.strip() or found.calls) and not _states_one(error):
        return None
    if found is None and not error and "choices" not in data:
        error = data if words_of(data) else None
    return _failed(error, data) if error else None


def _states_one(error: Any) -> bool:
    """Whether an error beside an answer is one; some servers always send the field."""
    code = error.get("code") if isinstance(error, dict) else None
    if code in (0, "0", 200, "200"):
        return False
    return bool(error) and words_of(error).lower() not in ("", "ok", "success", "none", "null")


def _failed(error: Any, data: Mapping[str, Any]) -> EndpointAnswer:
    words = words_of(error) or "an error without words"
    inner = error if isinstance(error, dict) else {}
    return EndpointAnswer(status=_meant(inner, data, words), words=words, after=_wait_in([error, data]))


_BY_WORDS = (
    (400, r"context.?(?:length|size|window)|exceed.?context|prompt is too long"),
    (402, r"insufficient_quota|billing|credit balance|payment|arrear|good standing|insufficient balance"),
    (401, r"api.?key|unauthori[sz]ed|authentication"),
    (529, r"overloaded"),
    (429, r"rate.?limit|too many requests|quota"),
    (503, r"loading|busy|capacity|unavailable|try again|temporar|starting"),
    (404, r"unexpected endpoint|not.?found|no such|unknown (?:endpoint|url|model)|does not exist"),
    (400, r"invalid_request"),
)


def _meant(error: Mapping[str, Any], data: Mapping[str, Any], words: str) -> int:
    for value in (
        error.get("code"),
        error.get("status"),
        error.get("status_code"),
        data.get("code"),
        data.get("status"),
    ):
        stated = str(value)
        if stated.isdecimal() and 400 <= int(stated) < 600:
            return int(stated)
    return next((status for status, pattern in _BY_WORDS if re.search(pattern, words, re.I)), NO_COMPLETION)

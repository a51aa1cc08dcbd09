"""A server's answer, read before it is judged. Pure: status, headers and bytes in, a `Body` out.

Servers say "200" and mean an error, leave out what the SDKs rely on, and put an answer where nobody looks for it.
`read` gives every answer one of two meanings: a completion in the form that the SDKs parse, or a failure with the
status that it should have had and the server's own words. Read `read` first, then `_completion` (what is mended).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NO_COMPLETION = 502  # an answer that is none: the endpoint is at fault, and may do better
LONGEST_WORDS = 2_000  # characters of a server's words that are kept
REASONING = ("reasoning_content", "reasoning", "thinking")
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
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointAnswer:
    """What a server meant."""

    status: int
    data: Any = None  # a completion, ready for the SDK; None for a failure
    words: str = ""  # of a failure: the server's own
    cached_tokens: int = 0  # of the prompt
    facts: Mapping[str, Any] = field(default_factory=dict)  # numbers that a failure states

    @property
    def ok(self) -> bool:
        """Whether it is a completion."""
        return self.status < 300 and not self.words


def read(status: int, content_type: str, body: bytes, *, proven: bool, tools: bool = False) -> EndpointAnswer:
    """The meaning of an answer; `proven`: the endpoint has given a completion before, `tools`: it was offered some."""
    text = body.decode("utf-8", errors="replace").strip()
    try:
        data = json.loads(text)
    except ValueError:
        return _no_json(status, content_type, text, proven=proven)
    if status >= 300:
        return EndpointAnswer(status=status, words=words_of(data), facts=_facts(data))
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    if not isinstance(data, dict):
        return EndpointAnswer(status=NO_COMPLETION, words=f"an answer that is no completion: {text[:200]}")
    if (failure := _failure(data)) is not None:
        return failure
    return _completion(data, tools=tools)


def words_of(data: Any) -> str:
    """The server's words in an error's body, in a line; what it repeats of the request is left out."""
    return " ".join(" ".join(_said(data)).split())[:LONGEST_WORDS]


def _said(data: Any) -> list[str]:
    if isinstance(data, str):
        inner = data.strip()
        if inner.startswith(("{", "[")):  # proxies pass an error on as a string
            try:
                return _said(json.loads(inner))
            except ValueError:
                pass
        return [inner]
    if isinstance(data, bool) or data is None:
        return []
    if isinstance(data, int | float):
        return [str(data)]
    if isinstance(data, list):
        return [word for item in data[:10] for word in _said(item)]
    if isinstance(data, dict):
        first = [word for key in _MESSAGE_KEYS if key not in ("param", "code", "type") for word in _said(data.get(key))]
        return first + [f"{key}: {word}" for key in ("param", "code", "type") for word in _said(data.get(key))]
    return []


def _no_json(status: int, content_type: str, text: str, *, proven: bool) -> EndpointAnswer:
    page = "html" in content_type or text[:1] == "<"
    if status >= 300:
        return EndpointAnswer(status=status, words=_title(text) if page else text[:LONGEST_WORDS] or f"status {status}")
    if page:
        words = f"a web page instead of JSON ({_title(text)})"
        return EndpointAnswer(status=503 if proven else 404, words=words)
    return EndpointAnswer(status=NO_COMPLETION, words=f"an answer that is no JSON: {text[:200] or 'nothing'}")


def _title(text: str) -> str:
    found = re.search(r"<title[^>]*>(.*?)</title>", text, re.I | re.S) or re.search(
        r"<h1[^>]*>(.*?)</h1>", text, re.I | re.S
    )
    plain = found[1] if found else re.sub(r"<[^>]*>", " ", text)
    return " ".join(plain.split())[:200] or "empty"


def _failure(data: Mapping[str, Any]) -> EndpointAnswer | None:
    """An error inside a 200, with the status that it should have had."""
    error = data.get("error") or data.get("errors")
    if data.get("type") == "error" or data.get("object") == "error":
        error = error or data
    if not error and not (data.keys() & {"choices", "content", "message", "response"}):
        error = data if words_of(data) else None
    if not error:
        return None
    words = words_of(error) or "an error without words"
    inner = error if isinstance(error, dict) else {}
    return EndpointAnswer(status=_meant(inner, data, words), words=words, facts=_facts(data))


_BY_WORDS = (
    (402, r"insufficient_quota|billing|credit balance|payment"),
    (401, r"api.?key|unauthori[sz]ed|authentication"),
    (529, r"overloaded"),
    (429, r"rate.?limit|too many requests|quota"),
    (503, r"loading|busy|capacity|unavailable|try again|temporar|starting"),
    (404, r"unexpected endpoint|not.?found|no such|unknown (?:endpoint|url|model)|does not exist"),
    (400, r"invalid_request|context.?length|exceed.?context"),
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


def _facts(data: Any) -> dict[str, Any]:
    error = data.get("error", data) if isinstance(data, dict) else {}
    keys = ("n_ctx", "n_prompt_tokens", "retry_after")
    return {key: error[key] for key in keys if isinstance(error, dict) and isinstance(error.get(key), int | float)}


def _completion(data: dict[str, Any], *, tools: bool) -> EndpointAnswer:
    usage = _counted(data)
    if data.get("type") == "message" and isinstance(data.get("content"), list):  # Anthropic's
        read_from_cache = _count(usage.get("cache_read_input_tokens"))
        if usage:  # theirs are counted beside the prompt's, ours as part of it
            written = _count(usage.get("cache_creation_input_tokens"))
            usage["input_tokens"] = usage.get("input_tokens", 0) + read_from_cache + written
        return EndpointAnswer(status=200, data=data, cached_tokens=read_from_cache)
    if isinstance(data.get("message"), dict) and "choices" not in data:  # Ollama's
        _message(data["message"], data.get("done_reason"), tools=tools)
        for key in ("prompt_eval_count", "eval_count"):
            data[key] = data.get(key) or 0
        return EndpointAnswer(status=200, data=data)
    choices = data.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return EndpointAnswer(status=NO_COMPLETION, words="a completion without choices")
    choice = choices[0]
    if not isinstance(choice.get("message"), dict):
        choice["message"] = {"role": "assistant", "content": choice.get("text") or ""}
    _message(choice["message"], choice.get("finish_reason"), tools=tools)
    choice.setdefault("index", 0)
    choice["finish_reason"] = choice.get("finish_reason") or "stop"
    details = usage.get("prompt_tokens_details") or {}
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    return EndpointAnswer(status=200, data=data, cached_tokens=_count(cached or usage.get("prompt_cache_hit_tokens")))


def _counted(data: dict[str, Any]) -> dict[str, Any]:
    """Usage whose counts are numbers: null, words and fractions are no reason to lose an answer."""
    usage = data.get("usage")
    if not isinstance(usage, dict):
        data["usage"] = None
        return {}
    for key in ("prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens"):
        if key in usage:
            usage[key] = _count(usage[key])
    if "prompt_tokens" not in usage and "input_tokens" not in usage:
        usage["prompt_tokens"] = usage["completion_tokens"] = 0
    return usage


def _count(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and value == value and abs(value) < 1e15 else 0


def _message(message: dict[str, Any], finish: Any, *, tools: bool) -> None:
    """One text where the SDK looks for it. Reasoning counts as the answer only when it ended and there is no other."""
    message["role"] = message.get("role") or "assistant"
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(_part(part) for part in content)
    elif isinstance(content, dict):
        content = json.dumps(content)
    message["content"] = content
    calls = message.get("tool_calls")
    if calls and tools:
        return
    message.pop("tool_calls", None)
    called = message.pop("function_call", None) or next(
        (c.get("function") for c in calls or [] if isinstance(c, dict)), None
    )
    if isinstance(called, dict) and not content:  # the form of the reply, taken for a function that was to be called
        arguments = called.get("arguments") or ""
        message["content"] = content = arguments if isinstance(arguments, str) else json.dumps(arguments)
    if not (content or "").strip() and finish != "length":
        thought = next((message[k] for k in REASONING if isinstance(message.get(k), str) and message[k].strip()), None)
        if thought is not None:
            message["content"] = thought


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if (
        isinstance(part, dict)
        and part.get("type", "text") in ("text", "output_text")
        and isinstance(part.get("text"), str)
    ):
        return str(part["text"])
    return ""

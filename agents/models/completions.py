"""One answer of a model, out of whichever shape a server gave it. Pure.

`completion_in` knows chat completions, Anthropic's messages, Ollama's chat and generate, OpenAI's responses, Gemini's
candidates, Cohere's and llama.cpp's own, and looks for them inside wrappers. Written for an SDK: dialects.py.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from move37.agents.models.calls import ToolCall, call_of, calls_in, marks_calls, says_anything, told_apart
from move37.agents.models.lenient import strict
from move37.agents.models.streams import mappings

DEEPEST = 4  # wrappers around wrappers
_WRAPPERS = ("data", "result", "response", "body", "output", "completion", "message")
_THOUGHTS = ("reasoning_content", "reasoning", "reasoning_text", "thinking", "thought", "thoughts")
_NO_THOUGHTS = ("tool_use", "tool_call", "image", "image_url", "refusal")  # parts of a content
_THOUGHT_PARTS = ("reasoning_details", "thinking_blocks")
_CUT = ("length", "max_tokens", "max_output_tokens", "model_length", "num_predict", "limit", "incomplete")
_WITHHELD = (
    "content_filter",
    "safety",
    "recitation",
    "refusal",
    "prohibited_content",
    "blocklist",
    "spii",
    "sensitive",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What a model answered."""

    text: str = ""
    thought: str = ""
    calls: tuple[ToolCall, ...] = ()
    finish: str = "stop"  # or length, content_filter, error
    prompt_tokens: int = 0  # those read from a cache included
    completion_tokens: int = 0
    cached_tokens: int = 0
    error: Any = None  # what a server said in place of an answer, inside one


def completion_in(data: Any, *, tools: Collection[str] = (), depth: int = 0) -> Completion | None:
    """The completion in `data`, or in what it wraps; None where there is none. `tools`: the names that were offered."""
    if isinstance(data, str) and data.lstrip()[:1] in ("{", "["):
        data = strict(data)
    if isinstance(data, list):
        inner = data[0] if len(data) == 1 else None
        return completion_in(inner, tools=tools, depth=depth + 1) if inner is not None and depth < DEEPEST else None
    if not isinstance(data, Mapping):
        return None
    if (found := _shaped(data)) is not None:
        return _answered(_counted(found, data), tools)
    if depth >= DEEPEST:
        return None
    inside = (completion_in(data[key], tools=tools, depth=depth + 1) for key in _WRAPPERS if key in data)
    return next((one for one in inside if one is not None), None)


# Shapes -------------------------------------------------------------------------------------------------------------


def _shaped(data: Mapping[str, Any]) -> Completion | None:
    """The completion that `data` itself is."""
    choices = data.get("choices")
    if isinstance(choices, Mapping):
        choices = [choices] if "message" in choices else list(choices.values())
    if isinstance(choices, list):
        found = [_choice(choice) for choice in choices if isinstance(choice, Mapping | str)]
        return next((one for one in found if one.text.strip() or one.calls), found[0] if found else None)
    if candidates := mappings(data.get("candidates")):  # Gemini's
        first = candidates[0]
        return _choice({"message": first.get("content") or {}, "finish_reason": first.get("finishReason")})
    if isinstance(output := data.get("output"), list):  # OpenAI's responses
        items = mappings(output)
        said = [item.get("content") for item in items if item.get("type") == "message"]
        content = [part for parts in said for part in (parts if isinstance(parts, list) else [parts])]
        calls = [item for item in items if item.get("type") == "function_call"]
        details = data.get("incomplete_details")
        finish = details.get("reason") if isinstance(details, Mapping) else None
        return _choice({"message": {"content": content, "tool_calls": calls}, "finish_reason": finish})
    message = data.get("message")
    if isinstance(message, Mapping) and ("content" in message or "tool_calls" in message):  # Ollama's, Cohere's
        return _choice({"message": message, "finish_reason": data.get("done_reason") or data.get("finish_reason")})
    if isinstance(data.get("content"), list) and (data.get("type") == "message" or data.get("role") == "assistant"):
        return _choice({"message": data, "finish_reason": data.get("stop_reason")})
    for key, signs in (("response", ()), ("generated_text", ()), ("content", ("stop", "tokens_predicted", "role"))):
        if isinstance(data.get(key), str) and (not signs or data.keys() & set(signs)) and not data.get("error"):
            return _choice({"message": {"content": data[key]}, "finish_reason": data.get("done_reason")})
    return None


def _choice(choice: Mapping[str, Any] | str) -> Completion:
    if isinstance(choice, str):
        return Completion(text=choice)
    message = choice.get("message") or choice.get("delta") or choice.get("text") or choice.get("messages") or {}
    if isinstance(message, list):
        message = message[-1] if message and isinstance(message[-1], Mapping) else {}
    if not isinstance(message, Mapping):
        message = {"content": message}
    content = message.get("content", message.get("parts"))
    offered = message.get("tool_calls")
    called = [c for c in offered if isinstance(c, Mapping)] if isinstance(offered, list) else []
    if isinstance(content, list):
        called += [part for part in content if isinstance(part, Mapping) and part.get("type") == "tool_use"]
    if isinstance(message.get("function_call"), Mapping):
        called.append({"function": message["function_call"]})
    text = _text(content) or _text(message.get("parsed")) or (message.get("refusal") or "")
    thoughts = [_thought(message.get(key)) for key in (*_THOUGHTS, *_THOUGHT_PARTS)] + [_thoughts_among(content)]
    reason = choice.get("finish_reason")
    return Completion(
        text=text if isinstance(text, str) else "",
        thought=next((one for one in thoughts if one.strip()), ""),
        calls=told_apart(call_of(c, place) for place, c in enumerate(called) if says_anything(c)),
        finish=_finish(reason, refused=bool(message.get("refusal")) and not _text(content)),
        error=choice.get("error") or ("an answer that broke off" if str(reason).lower() == "error" else None),
    )


def _answered(found: Completion, tools: Collection[str]) -> Completion:
    """With its text and its calls where the caller looks; a finished thought is the answer where nothing else is.

    Calls of tools that were not offered stay: who knows the form of the reply can tell one that is the answer.
    """
    text, calls = found.text, found.calls
    if tools and not calls and marks_calls(text):
        calls = tuple(calls_in(text, tools))
    if not text.strip() and not calls and found.finish != "length":
        text = found.thought
    return replace(found, text=text, calls=calls)


def _text(content: Any) -> str:
    """The words of a content, whatever holds them; thoughts are none."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(_part(part) for part in content)
    if isinstance(content, Mapping) and content:
        return _part(content) or json.dumps(content)
    return "" if content is None else json.dumps(content)


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping) or part.get("thought") or part.get("type", "text") not in ("text", "output_text"):
        return ""
    text = part.get("text", part.get("content") if "type" in part else None)
    text = text.get("value") if isinstance(text, Mapping) else text
    return text if isinstance(text, str) else ""


def _thought(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(_thought(item) for item in value)
    if isinstance(value, Mapping):
        inside = (_thought(value.get(key)) for key in ("text", "content", "summary", *_THOUGHTS))
        return next((one for one in inside if one), "")
    return ""


def _thoughts_among(content: Any) -> str:
    """Of the parts of a content those that are no words of the answer."""
    return _thought([part for part in mappings(content) if not _part(part) and part.get("type") not in _NO_THOUGHTS])


def _finish(reason: Any, *, refused: bool) -> str:
    named = reason.get("type") if isinstance(reason, Mapping) else reason
    word = str(named or "stop").lower()
    if word in _CUT:
        return "length"
    return "content_filter" if word in _WITHHELD or refused else "stop"


# Counts --------------------------------------------------------------------------------------------------------------


def _counted(found: Completion, data: Mapping[str, Any]) -> Completion:
    """With its tokens, where they are numbers: null, words and fractions are no reason to lose an answer."""
    given: Mapping[str, Any] = next(
        (data[k] for k in ("usage", "usageMetadata") if isinstance(data.get(k), Mapping)), data
    )
    usage: Mapping[str, Any] = given["tokens"] if isinstance(given.get("tokens"), Mapping) else given
    prompt = _first(usage, "prompt_tokens", "input_tokens", "promptTokens", "promptTokenCount", "prompt_eval_count")
    reply = _first(
        usage, "completion_tokens", "output_tokens", "completionTokens", "candidatesTokenCount", "eval_count"
    )
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
    cached = _count(details.get("cached_tokens")) if isinstance(details, Mapping) else 0
    cached = cached or _first(
        usage, "prompt_cache_hit_tokens", "cachedContentTokenCount", "cache_read_input_tokens", "cached_tokens"
    )
    if usage.get("prompt_tokens") is None:  # Anthropic counts them beside the prompt's; who speaks OpenAI's does not
        prompt += _first(usage, "cache_read_input_tokens") + _first(usage, "cache_creation_input_tokens")
    return replace(found, prompt_tokens=prompt, completion_tokens=reply, cached_tokens=cached)


def _first(usage: Mapping[str, Any], *keys: str) -> int:
    return next((_count(usage[key]) for key in keys if usage.get(key) is not None), 0)


def _count(value: Any) -> int:
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 15:
        return int(value)
    plain = isinstance(value, int | float) and not isinstance(value, bool) and value == value
    return int(value) if plain and 0 <= value < 1e15 else 0

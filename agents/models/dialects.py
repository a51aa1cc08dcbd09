"""An answer as the SDK in use parses it. Pure.

A body holds nothing but what the SDK reads, so that an odd number or a null elsewhere is no reason to lose an answer.
"""

from __future__ import annotations

from typing import Any, Literal

from move37.agents.models.completions import Completion
from move37.agents.models.lenient import strict

Dialect = Literal["openai", "anthropic", "ollama"]


def dialect_of(path: str) -> Dialect:
    """The dialect of a request, by the path that it is sent to."""
    path = path.rstrip("/")
    return "ollama" if path.endswith("/api/chat") else "anthropic" if path.endswith("/messages") else "openai"


def written(completion: Completion, dialect: Dialect, model: str) -> dict[str, Any]:
    """The answer as the SDK of this dialect reads it."""
    calls = completion.calls
    if dialect == "anthropic":
        blocks: list[dict[str, Any]] = [{"type": "text", "text": completion.text}] if completion.text else []
        blocks += [{"type": "tool_use", "id": c.id, "name": c.name, "input": _object(c.arguments)} for c in calls]
        usage = {"input_tokens": completion.prompt_tokens, "output_tokens": completion.completion_tokens}
        stop = {"length": "max_tokens", "content_filter": "refusal"}.get(completion.finish, "end_turn")
        body = {"id": "1", "type": "message", "role": "assistant", "model": model, "content": blocks, "usage": usage}
        return body | {"stop_reason": "tool_use" if calls else stop, "stop_sequence": None}
    if dialect == "ollama":
        functions = [{"function": {"name": c.name, "arguments": _object(c.arguments)}} for c in calls]
        said = {"role": "assistant", "content": completion.text} | ({"tool_calls": functions} if calls else {})
        counts = {"prompt_eval_count": completion.prompt_tokens, "eval_count": completion.completion_tokens}
        return {"model": model, "message": said, "done": True, "done_reason": completion.finish, **counts}
    asked = [{"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}} for c in calls]
    message = {"role": "assistant", "content": completion.text} | ({"tool_calls": asked} if calls else {})
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if calls else completion.finish}],
        "usage": {
            "prompt_tokens": completion.prompt_tokens,
            "completion_tokens": completion.completion_tokens,
            "total_tokens": completion.prompt_tokens + completion.completion_tokens,
        },
    }


def _object(arguments: str) -> Any:
    value = strict(arguments)
    return value if isinstance(value, dict) else {}

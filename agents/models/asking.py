"""The words that a model is asked with: speakers by name, the form of the reply, what was wrong with the last. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence

from autogen_core.models import LLMMessage, SystemMessage, UserMessage
from pydantic import BaseModel

SMALL: tuple[LLMMessage, ...] = (
    SystemMessage(content="You are asked whether you can answer."),
    UserMessage(content='Answer {"ready": true}.', source="Lab"),
)


class Ready(BaseModel):
    """What a trial call asks for."""

    ready: bool


def spoken(messages: Sequence[LLMMessage]) -> list[LLMMessage]:
    """The messages with their speakers named in the text: templates and servers drop the field for it."""
    return [
        m.model_copy(update={"content": f"{m.source}:\n{m.content}"})
        if isinstance(m, UserMessage) and isinstance(m.content, str) and not m.content.startswith(f"{m.source}:")
        else m
        for m in messages
    ]


def instructed(messages: Sequence[LLMMessage], form: type[BaseModel], *, tools: bool = False) -> list[LLMMessage]:
    """The messages with the form of the reply spelled out in the first system message (or a new one)."""
    schema = json.dumps(form.model_json_schema(), ensure_ascii=False)
    when = "When you are done with the tools, answer" if tools else "Answer"
    words = f"{when} with one JSON object and nothing else. It must validate against this JSON schema:\n{schema}"
    first, rest = (messages[0], messages[1:]) if messages else (None, [])
    if isinstance(first, SystemMessage):
        return [SystemMessage(content=f"{first.content}\n\n{words}"), *rest]
    return [SystemMessage(content=words), *messages]


def asked_again(problem: str) -> str:
    """What follows a reply that did not validate."""
    return (
        f"Your reply did not validate: {problem}. Answer again with the whole corrected JSON object and nothing else."
    )

"""A prompt that was too long, made shorter for one call. Pure.

First the oldest messages go (never the system's words nor the newest message), then the longest that is left loses its
middle, at a paragraph where it can, with a line that says so. What stands under its last heading (a role's own words,
the form of the reply) is kept whole while there is room for it. Roles that render their own context for a budget hand
over a `Shorter` of their own instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)

Shorter = Callable[[Sequence[LLMMessage], int], Sequence[LLMMessage]]  # messages, characters to fit into
LEAST = 400  # characters of a message that is never cut further


def window_of(words: str) -> tuple[int | None, int | None]:
    """Tokens of the context and of the prompt, as far as a server's refusal states them."""
    window = re.search(
        r"(?:context (?:length|window|size)[^\d]{0,24}|n_ctx\W+|maximum (?:allowed|of)[^\d]{0,12}|>\s*)(\d{3,9})",
        words,
        re.I,
    )
    prompt = next((found for pattern in _PROMPT if (found := re.search(pattern, words, re.I))), None)
    return (int(window[1]) if window else None), (int(prompt[1]) if prompt else None)


_PROMPT = (
    r"(\d{2,9}) (?:tokens )?(?:in|from) (?:the |your )?(?:messages|prompt|input)",
    r"(\d{2,9}) (?:input|prompt) tokens",
    r"request \((\d{2,9}) tokens\)",
    r"(\d{2,9}) tokens?\s*>",
    r"resulted in (\d{2,9}) tokens",
    r"(?:prompt|input)[^\d]{0,24}(\d{2,9})",
)


def size(messages: Sequence[LLMMessage]) -> int:
    """Characters."""
    return sum(len(_text(m)) for m in messages)


def shorter(messages: Sequence[LLMMessage], characters: int) -> list[LLMMessage]:
    """The messages within so many characters, or as near to it as they can be brought."""
    kept = list(messages)
    while size(kept) > characters and (place := _oldest(kept)) is not None:
        kept = _without(kept, place)
    for _ in range(len(kept) + 2):
        over = size(kept) - characters
        if over <= 0:
            break
        place = max(range(len(kept)), key=lambda i: len(_text(kept[i])) if _is_plain(kept[i]) else 0)
        text = _text(kept[place])
        if not _is_plain(kept[place]) or len(text) <= LEAST:
            break
        kept[place] = kept[place].model_copy(update={"content": _cut(text, max(LEAST, len(text) - over))})
    return kept


def _oldest(messages: Sequence[LLMMessage]) -> int | None:
    """The first message that may go: neither a system message nor the newest user message nor what follows it."""
    newest = max((i for i, m in enumerate(messages) if isinstance(m, UserMessage)), default=len(messages) - 1)
    return next((i for i, m in enumerate(messages[:newest]) if not isinstance(m, SystemMessage)), None)


def _without(messages: Sequence[LLMMessage], place: int) -> list[LLMMessage]:
    """Without one message; results of tools go with the call that they answer."""
    end = place + 1
    while end < len(messages) and isinstance(messages[end], FunctionExecutionResultMessage):
        end += 1
    return [*messages[:place], *messages[end:]]


def _is_plain(message: LLMMessage) -> bool:
    return isinstance(message, SystemMessage | UserMessage | AssistantMessage) and isinstance(message.content, str)


def _text(message: LLMMessage) -> str:
    content = message.content
    return content if isinstance(content, str) else " ".join(str(part) for part in content)


def _cut(text: str, length: int) -> str:
    """The head and the tail: instructions stand at either end, lists in the middle."""
    mark = "\n\n[left out here: the prompt was too long for this model]\n\n"
    room = max(0, length - len(mark))
    ending = text[text.rfind("\n# ") + 1 :]
    if len(ending) <= room * 3 // 4:
        return _whole_paragraphs(text[: room - len(ending)]) + mark + ending
    head = text[: (room * 2 + 2) // 3]
    tail = text[len(text) - (room - len(head)) :] if room > len(head) else ""
    head = _whole_paragraphs(head)
    if 0 <= (edge := tail.find("\n\n")) < len(tail) // 2:
        tail = tail[edge + 2 :]
    return head + mark + tail


def _whole_paragraphs(head: str) -> str:
    """Without a last paragraph that was cut, where that leaves enough."""
    edge = head.rfind("\n\n")
    return head[:edge] if edge > len(head) // 2 else head

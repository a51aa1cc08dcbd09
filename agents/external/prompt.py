"""A turn as the text of a prompt, for a user or a program that answers it."""

from __future__ import annotations

from pydantic import BaseModel

from move37.agents.external.turns import Turn
from move37.agents.language_model import told
from move37.agents.rendering import front, render

CONTEXT_TOKENS = 24_000  # of a turn's context


def prompt_of(turn: Turn) -> str:
    """What the role would read, and what was said since."""
    context = render(turn.context, turn.role, budget=CONTEXT_TOKENS, count=lambda text: len(text) // 4 + 1).text
    heard = [told(m) if isinstance(m, BaseModel) else m for m in turn.heard]
    return "\n\n".join([front(turn.context.task), context, *heard])

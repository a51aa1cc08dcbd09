"""The limits of a conversation: each with its bounds and its default, here and nowhere else.

`app/sources.py` reads them from flags, the environment and move37.toml under these very names.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class ConversationLimits(BaseModel):
    """How long the roles may talk, and what they may do."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    negotiation_rounds: Annotated[int, Field(ge=0, le=20)] = 2  # objections that the Researcher may answer
    debug_attempts: Annotated[int, Field(ge=0, le=20)] = 3  # files that the Debugger may write
    ideas: Annotated[int, Field(ge=1, le=8)] = 3  # that a language model proposes at once; the search draws one
    # Of one role's context; None: by the model's window (models/window.py), else 24,000 hosted, 6,000 small local.
    context_tokens: Annotated[int, Field(ge=1_000, le=10**12)] | None = None
    plans: bool = False  # a language model may propose a plan of the grammar, which is turned into code as it stands
    reflect: bool = True  # the principles are revised after every generation
    reflect_every: Annotated[int, Field(ge=0, le=1_000)] = 4  # and within it after so many experiments; 0: never
    # Share of what the Critic refuses that is tried all the same, to measure the Critic.
    refusals_tried: Annotated[float, Field(ge=0.0, le=1.0)] = 0.1
    recollections: Annotated[int, Field(ge=0, le=50)] = 6  # items that memory may bring to a hypothesis
    recollection_tokens: Annotated[int, Field(ge=0, le=100_000)] = 2400  # of all of them; whole items are left out

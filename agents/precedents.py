"""Before the Critic speaks, memory is asked about the proposal itself: is it new, is it a dead end?

An AutoGen `Memory` attached to the Critic alone: `update_context` runs before each of its turns, reads the newest
proposal in the context and puts the answer there as a dossier block, once a proposal. No compute is spent before.
"""

from __future__ import annotations

import json
from typing import Any

import structlog
from autogen_core import CancellationToken
from autogen_core.memory import Memory, MemoryContent, MemoryQueryResult, UpdateContextResult
from autogen_core.model_context import ChatCompletionContext
from autogen_core.models import UserMessage
from pydantic import BaseModel, ValidationError

from move37.agents.dossier import Dossier, block
from move37.agents.replies import Proposal
from move37.agents.research_memory import ResearchMemory
from move37.memory import render
from move37.memory.errors import MemoryFault

log = structlog.get_logger()


class Precedents(Memory):
    """Newness and dead ends of whatever was proposed last."""

    component_type = "memory"
    component_config_schema = BaseModel

    def __init__(self, memory: ResearchMemory, *, task: str) -> None:
        self._memory = memory
        self._task = task
        self._asked: set[str] = set()

    async def update_context(self, model_context: ChatCompletionContext) -> UpdateContextResult:
        """Add the answer about the newest proposal, unless it stands there already."""
        nothing = UpdateContextResult(memories=MemoryQueryResult(results=[]))
        proposal = _newest(await model_context.get_messages())
        if proposal is None:
            return nothing
        text = f"{proposal.name}: {proposal.change} {proposal.motivation}"
        if text in self._asked:
            return nothing
        self._asked.add(text)
        try:
            new = await self._memory.is_new(text, task=self._task)
            dead = await self._memory.is_dead_end(text, family=proposal.family, task=self._task)
        except MemoryFault as error:  # the Critic can do without; an experiment cannot wait for it
            log.warning("precedents_not_asked", error=str(error))
            return nothing
        facts = Dossier(
            newness=render.newness(new),
            newness_similarity=new.similarity,
            nearest_own=new.own.key if new.own is not None and new.own == new.nearest[0] else "",
            dead_end=render.dead_end(dead),
            dead_end_evidence=dead.evidence,
        )
        await model_context.add_message(UserMessage(content=block(facts), source="Lab"))
        return nothing

    async def query(
        self, query: str | MemoryContent, cancellation_token: CancellationToken | None = None, **kwargs: Any
    ) -> MemoryQueryResult:
        """Nothing: this memory only speaks when a proposal is on the table."""
        return MemoryQueryResult(results=[])

    async def add(self, content: MemoryContent, cancellation_token: CancellationToken | None = None) -> None:
        """Nothing: lessons are written by the lab."""

    async def clear(self) -> None:
        """Forget what was asked."""
        self._asked.clear()

    async def close(self) -> None:
        """Nothing: the memory belongs to the campaign."""


def _newest(messages: list[Any]) -> Proposal | None:
    for message in reversed(messages):
        if isinstance(message, UserMessage) and isinstance(message.content, str):
            try:
                return Proposal.model_validate(json.loads(message.content))
            except (ValidationError, ValueError):
                continue
    return None

"""The model client of an agent: waits while the campaign is paused, counts tokens, names calls, reports failures.

AutoGen turns every exception of a client into a RuntimeError of the whole team and passes on only its text, so
`RoleContext.failed` gets the exception itself, for the conversation to raise. Not here: retries (models/repair).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage, UserMessage

from move37.agents.errors import ModelReplyInvalid
from move37.agents.models.client import CALL, FACTS, CallFacts, CallKey, ClientWrapper
from move37.agents.roles import USER, CallUsage, RoleContext

LOOK = 0.25  # seconds between two checks for an interruption


class Metered(ClientWrapper):
    """One role's view of a shared client, in one experiment."""

    def __init__(self, inner: ChatCompletionClient, role: RoleContext) -> None:
        super().__init__(inner)
        self._role = role
        self._turns: Counter[str] = Counter()  # stage -> calls so far

    async def create(self, messages: Sequence[LLMMessage], **arguments: Any) -> CreateResult:
        """The inner client's answer; waits for the campaign's pause before, and counts tokens after it."""
        role, stage = self._role, self._role.stage()
        facts, began = CallFacts(), time.monotonic()
        try:
            await role.before()
            began = time.monotonic()
            key = CallKey(number=role.number, stage=stage, role=role.member.name, turn=self._turns[stage])
            tokens = CALL.set(key), FACTS.set(facts)
            try:
                result = await self._unless_interrupted(messages, **arguments)
            finally:
                CALL.reset(tokens[0])
                FACTS.reset(tokens[1])
        except Exception as error:
            role.failed(error)
            if isinstance(error, ModelReplyInvalid):
                role.after(_usage(error.prompt_tokens, error.completion_tokens, began, facts))
            raise
        self._turns[stage] += 1
        role.after(_usage(result.usage.prompt_tokens, result.usage.completion_tokens, began, facts))
        return result

    async def _unless_interrupted(self, messages: Sequence[LLMMessage], **arguments: Any) -> CreateResult:
        """The inner client's answer; after an interruption it is asked again, with what was typed meanwhile."""
        heard = list(messages)
        while True:
            before = self._role.interruptions()
            running = asyncio.ensure_future(self.inner.create(heard, **arguments))
            try:
                while not running.done() and self._role.interruptions() == before:
                    await asyncio.wait({running}, timeout=LOOK)
                if running.done():
                    return running.result()
            finally:
                running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            heard += [
                UserMessage(content=f"(interrupting you) {said}", source=USER) for said in self._role.interjected()
            ]

    async def close(self) -> None:
        """Nothing: the inner client is shared, and closed by its owner."""


def _usage(prompt: int, completion: int, began: float, facts: CallFacts) -> CallUsage:
    return CallUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        seconds=max(0.0, time.monotonic() - began - facts.waited),
        waited=facts.waited,
        cached_tokens=facts.cached_tokens,
        attempts=max(1, facts.attempts),
    )

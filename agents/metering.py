"""A model client as an agent gets it: it waits while the person paused, counts, and remembers failures.

AutoGen turns every exception of a client into a RuntimeError of the whole team and says only its text; `failure` keeps
the exception itself, so that the conversation can raise what really happened. Not here: retries (models/repair).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage

from move37.agents.errors import ModelReplyInvalid
from move37.agents.models.client import ClientWrapper

Before = Callable[[], Awaitable[None]]  # awaited before each call: waits while paused, raises BudgetSpent
After = Callable[[int, int, float], None]  # prompt tokens, completion tokens, seconds of a finished call


class Metered(ClientWrapper):
    """One agent's view of a shared client."""

    def __init__(self, inner: ChatCompletionClient, *, before: Before, after: After) -> None:
        super().__init__(inner)
        self._before = before
        self._after = after
        self.failure: BaseException | None = None

    async def create(self, messages: Sequence[LLMMessage], **arguments: Any) -> CreateResult:
        """As the inner client, after waiting and before counting."""
        began = time.monotonic()
        try:
            await self._before()
            began = time.monotonic()
            result = await self.inner.create(messages, **arguments)
        except BaseException as error:
            self.failure = error
            if isinstance(error, ModelReplyInvalid):
                self._after(error.prompt_tokens, error.completion_tokens, time.monotonic() - began)
            raise
        self._after(result.usage.prompt_tokens, result.usage.completion_tokens, time.monotonic() - began)
        return result

    async def close(self) -> None:
        """Nothing: the inner client is shared, and closed by its owner."""

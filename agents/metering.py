"""A model client as an agent gets it: it waits while the person paused, counts, and remembers failures.

AutoGen turns every exception of a client into a RuntimeError of the whole team and says only its text; `failure` keeps
the exception itself, so that the conversation can raise what really happened. Not here: retries (models/repair).
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal

from autogen_core import CancellationToken
from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    ModelCapabilities,  # type: ignore[attr-defined, unused-ignore]
    ModelInfo,
    RequestUsage,
)
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel

Before = Callable[[], Awaitable[None]]  # awaited before each call: waits while paused, raises BudgetSpent
After = Callable[[int, int, float], None]  # prompt tokens, completion tokens, seconds of a finished call


class Metered(ChatCompletionClient):
    """One agent's view of a shared client."""

    component_type = "model"
    component_config_schema = BaseModel

    def __init__(self, inner: ChatCompletionClient, *, before: Before, after: After) -> None:
        self._inner = inner
        self._before = before
        self._after = after
        self.failure: BaseException | None = None

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = [],
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        """As the inner client, after waiting and before counting."""
        try:
            await self._before()
            began = time.monotonic()
            result = await self._inner.create(
                messages,
                tools=tools,
                tool_choice=tool_choice,
                json_output=json_output,
                extra_create_args=extra_create_args,
                cancellation_token=cancellation_token,
            )
        except BaseException as error:
            self.failure = error
            raise
        self._after(result.usage.prompt_tokens, result.usage.completion_tokens, time.monotonic() - began)
        return result

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = [],
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        """The whole answer as one piece: structured replies are of no use in part."""
        yield await self.create(
            messages,
            tools=tools,
            tool_choice=tool_choice,
            json_output=json_output,
            extra_create_args=extra_create_args,
            cancellation_token=cancellation_token,
        )

    async def close(self) -> None:
        """Nothing: the inner client is shared, and closed by its owner."""

    def actual_usage(self) -> RequestUsage:
        """Of the inner client."""
        return self._inner.actual_usage()

    def total_usage(self) -> RequestUsage:
        """Of the inner client."""
        return self._inner.total_usage()

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """Of the inner client."""
        return self._inner.count_tokens(messages, tools=tools)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """Of the inner client."""
        return self._inner.remaining_tokens(messages, tools=tools)

    @property
    def capabilities(self) -> ModelCapabilities:
        """Of the inner client (deprecated in AutoGen, still abstract)."""
        return self._inner.capabilities

    @property
    def model_info(self) -> ModelInfo:
        """Of the inner client."""
        return self._inner.model_info

"""The client in front of the server process: an OpenAI client whose address is asked for before each call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage, ModelInfo, RequestUsage
from autogen_core.tools import Tool, ToolSchema

from move37.agents.models.client import NOTHING, NamedClient
from move37.agents.models.local.process import LocalServer
from move37.agents.models.provider import ModelOptions, info
from move37.agents.models.providers import openai

CHARACTERS_A_TOKEN = 3.5


class LocalModel(NamedClient):
    """A model file as a chat client, by the process that serves it; others may use the same one in other ways."""

    def __init__(self, name: str, server: LocalServer, options: ModelOptions, *, context_tokens: int) -> None:
        self.signature = f"local:{name}"
        self._name = name
        self._server = server
        self._options = options
        self.context_tokens = context_tokens  # of the window
        self._inner: ChatCompletionClient | None = None
        self._address = ""
        self._closed = False
        self.turns = server.turns

    async def create(self, messages: Sequence[LLMMessage], **arguments: Any) -> CreateResult:
        """One reply; a process that died is started again first."""
        address = await self._server.address()
        if self._inner is None or address != self._address:
            self._address = address
            self._inner = openai.compatible(self._name, f"{address}/v1", self._options)
        result = await self._inner.create(messages, **arguments)
        self._server.answered()
        return result

    async def close(self) -> None:
        """Let go of the process, which ends with its last user."""
        if self._closed:
            return
        self._closed = True
        if self._inner is not None:
            await self._inner.close()
        await self._server.close()

    def actual_usage(self) -> RequestUsage:
        """Of the calls so far."""
        return self._inner.actual_usage() if self._inner else NOTHING

    def total_usage(self) -> RequestUsage:
        """Of the calls so far."""
        return self._inner.total_usage() if self._inner else NOTHING

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """An estimate: the tokenizer is in the other process."""
        return int(sum(len(str(m.content)) for m in messages) / CHARACTERS_A_TOKEN) + 1

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """Of the window that the process was started with."""
        return max(0, self.context_tokens - self.count_tokens(messages))

    @property
    def capabilities(self) -> Any:
        """Deprecated in AutoGen, still abstract."""
        return self.model_info

    @property
    def holds_form(self) -> bool:
        """A schema becomes a grammar there."""
        return True

    @property
    def model_info(self) -> ModelInfo:
        """Structured replies, no tools: small models get the facts in the context instead."""
        return info(tools=False)

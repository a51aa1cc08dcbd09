"""What our own model clients share: the plumbing of AutoGen's `ChatCompletionClient` around one method, `answer`.

Of the arguments of its `create` (tools, tool_choice, json_output, extra_create_args, cancellation_token) each client
names what it reads and passes the others on.
`LocalClient` is for clients that make replies themselves (replay), `ClientWrapper` for those that pass calls on and
change something (repair, recorder). Every client says who signs: `signature`.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import AsyncGenerator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from autogen_core import EVENT_LOGGER_NAME
from autogen_core.logging import LLMCallEvent
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    ModelCapabilities,  # type: ignore[attr-defined, unused-ignore]
    ModelInfo,
    RequestUsage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel

from move37.agents.errors import ModelUnavailable
from move37.agents.roles import MEMBERS

JsonOutput = bool | type[BaseModel] | None
NOTHING = RequestUsage(prompt_tokens=0, completion_tokens=0)
_events = logging.getLogger(EVENT_LOGGER_NAME)


@dataclass(slots=True)
class CallFacts:
    """What AutoGen's usage has no place for; filled in by the clients below, read by who counts (metering)."""

    cached_tokens: int = 0  # of the prompts, as far as the provider says
    attempts: int = 0  # answers, invalid ones included
    waited: float = 0.0  # seconds, for a turn at the server and while it was away: not the call's own


FACTS: ContextVar[CallFacts | None] = ContextVar("call_facts", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallKey:
    """Which call this is: what a recording is looked up by."""

    number: int  # of the experiment
    stage: str
    role: str
    turn: int  # calls of the role in that stage before this one


CALL: ContextVar[CallKey | None] = ContextVar("call_key", default=None)


class NamedClient(ChatCompletionClient):
    """A client that says who signs for what it answers."""

    component_type = "model"
    component_config_schema = BaseModel
    signature: str = "unknown"

    @property
    def window(self) -> int | None:
        """Tokens of the model's window; None where nobody has said."""
        return None

    @property
    def holds_form(self) -> bool:
        """Whether decoding is held to a schema: what the schema lists is then all that can be said."""
        return False

    async def create_stream(
        self, messages: Sequence[LLMMessage], **arguments: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        """The whole answer as one piece: what streams before it validates may have to be taken back."""
        yield await self.create(messages, **arguments)


class LocalClient(NamedClient):
    """A client without an endpoint. It costs no tokens."""

    @abstractmethod
    async def answer(self, messages: Sequence[LLMMessage], json_output: JsonOutput) -> str:
        """The reply's text. Raises an `AgentError` when there is none."""
        ...

    async def create(self, messages: Sequence[LLMMessage], *, json_output: JsonOutput = None, **_: Any) -> CreateResult:
        """One reply; no tools, no usage."""
        text = await self.answer(messages, json_output)
        _events.info(
            LLMCallEvent(
                messages=[{"source": source_of(m), "content": text_of(m)} for m in messages],
                response={"signature": self.signature, "content": text},
                prompt_tokens=0,
                completion_tokens=0,
            )
        )
        return CreateResult(finish_reason="stop", content=text, usage=NOTHING, cached=False)

    async def close(self) -> None:
        """Nothing is held."""

    def actual_usage(self) -> RequestUsage:
        """No tokens."""
        return NOTHING

    def total_usage(self) -> RequestUsage:
        """No tokens."""
        return NOTHING

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """No tokens."""
        return 0

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """There is no context window to fill."""
        return 1_000_000

    @property
    def capabilities(self) -> ModelCapabilities:
        """Deprecated in AutoGen, still abstract."""
        return self.model_info

    @property
    def model_info(self) -> ModelInfo:
        """Structured replies; no pictures, no tools."""
        return ModelInfo(
            vision=False,
            function_calling=False,
            json_output=True,
            family="unknown",
            structured_output=True,
            multiple_system_messages=True,
        )


class Nobody(LocalClient):
    """Where AutoGen wants a client that is never asked."""

    async def answer(self, messages: Sequence[LLMMessage], json_output: JsonOutput) -> str:
        """Never. Raises `ModelUnavailable`."""
        raise ModelUnavailable("this client is never asked")


class ClientWrapper(NamedClient):
    """A client around another one; all but `create` is passed on."""

    def __init__(self, inner: ChatCompletionClient) -> None:
        self.inner = inner
        self.signature = getattr(inner, "signature", type(inner).__name__)

    @property
    def window(self) -> int | None:
        """Of the inner client."""
        found: int | None = getattr(self.inner, "window", None)
        return found

    @property
    def holds_form(self) -> bool:
        """Of the inner client."""
        return bool(getattr(self.inner, "holds_form", False))

    async def close(self) -> None:
        """Close the inner client."""
        await self.inner.close()

    def actual_usage(self) -> RequestUsage:
        """Of the inner client."""
        return self.inner.actual_usage()

    def total_usage(self) -> RequestUsage:
        """Of the inner client."""
        return self.inner.total_usage()

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """Of the inner client."""
        return self.inner.count_tokens(messages, tools=tools)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """Of the inner client."""
        return self.inner.remaining_tokens(messages, tools=tools)

    @property
    def capabilities(self) -> ModelCapabilities:
        """Of the inner client (deprecated in AutoGen, still abstract)."""
        return self.inner.capabilities

    @property
    def model_info(self) -> ModelInfo:
        """Of the inner client."""
        return self.inner.model_info


def text_of(message: LLMMessage) -> str:
    """The text of a message; pictures and tool calls are named only."""
    content = message.content
    if isinstance(content, str):
        return content
    return "\n".join(part if isinstance(part, str) else f"[{type(part).__name__}]" for part in content)


def source_of(message: LLMMessage) -> str:
    """Who said it: an agent's name, or "system"."""
    if isinstance(message, UserMessage | AssistantMessage):
        return message.source
    return "system" if isinstance(message, SystemMessage) else "tool"


def role_of(json_output: JsonOutput) -> str:
    """The role that is asked, from the form of the reply that is wanted; "" when it is none of ours."""
    if not isinstance(json_output, type):
        return ""
    return next((m.name for m in MEMBERS if issubclass(json_output, m.reply)), "")

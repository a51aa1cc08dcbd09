"""A client around another that gives back valid replies or an `AgentError`: an invalid one would wedge AutoGen's team.

    ask -> text -> JSON inside it -> pydantic -> canonical JSON
           `-- invalid: the model sees its reply and the error, and is asked again, `retries` times
    transport errors: again after a growing pause; refusals (key, unknown model): at once, in one line

Three ways of asking for JSON, the strictest that works is kept: `schema` (the endpoint constrains decoding to it),
`json` (JSON mode) and `prompt` (the schema stands in the prompt, which it does in all three). An endpoint that
refuses one of them is asked in the next.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import structlog
from autogen_core import CancellationToken
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    ModelInfo,
    RequestUsage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel, ValidationError

from move37.agents.errors import AgentError, ModelReplyInvalid, ModelUnavailable
from move37.agents.models.client import ClientWrapper, JsonOutput, role_of

log = structlog.get_logger()

Way = Literal["schema", "json", "prompt"]
WAYS: tuple[Way, ...] = ("schema", "json", "prompt")
MALFORMED_REQUEST = (400, 422)  # statuses with which endpoints refuse a response format
TRANSIENT = (408, 409, 425, 429, 500, 502, 503, 504, 529)
MOST_STARTS = 200  # braces in a reply at which an object is looked for
LONGEST_SHOWN = 2_000  # characters of an invalid reply that go back to the model


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often a model is asked again."""

    replies: int = 2  # further attempts after an invalid reply
    transport: int = 4  # further attempts after a transport error
    first_pause: float = 0.5  # seconds; doubles each time
    longest_pause: float = 20.0  # seconds
    call_seconds: float = 600.0  # wall clock of one call


class StructuredOutputClient(ClientWrapper):
    """See the module. `sleep` is there for tests."""

    def __init__(
        self,
        inner: ChatCompletionClient,
        *,
        signature: str,
        patience: RetryPolicy | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(inner)
        self.signature = signature
        self._patience = patience or RetryPolicy()
        self._sleep = sleep
        info = inner.model_info
        self._way: Way = "schema" if info.get("structured_output") else "json" if info["json_output"] else "prompt"

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = [],
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: JsonOutput = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        """A reply that validates against `json_output`; usage counts every attempt.

        Raises `ModelReplyInvalid` with the last text, or `ModelUnavailable`.
        """
        call = _Call(tools, tool_choice, extra_create_args, cancellation_token)
        if not (isinstance(json_output, type) and issubclass(json_output, BaseModel)):
            return await self._asked(list(messages), None, json_output, call)
        asked = [*messages]
        spent = RequestUsage(prompt_tokens=0, completion_tokens=0)
        text, problem = "", ""
        for attempt in range(self._patience.replies + 1):
            result = await self._asked(asked, json_output, None, call)
            spent = _sum(spent, result.usage)
            text = result.content if isinstance(result.content, str) else ""
            reply, problem = validated(text, json_output)
            if reply is not None:
                return result.model_copy(update={"content": reply.model_dump_json(), "usage": spent})
            if result.finish_reason == "length":
                problem = f"the reply was cut off at its token limit; be shorter ({problem})"
            log.warning("reply_invalid", role=role_of(json_output), model=self.signature, attempt=attempt, why=problem)
            asked = [
                *messages,
                AssistantMessage(content=text[:LONGEST_SHOWN] or "(empty)", source="assistant"),
                UserMessage(content=_again(problem), source="Lab"),
            ]
        raise ModelReplyInvalid(
            f"{self.signature} gave no valid {json_output.__name__} in {attempt + 1} attempts: {problem}",
            text=text,
            prompt_tokens=spent.prompt_tokens,
            completion_tokens=spent.completion_tokens,
        )

    async def _asked(
        self, messages: list[LLMMessage], form: type[BaseModel] | None, json_output: JsonOutput, call: _Call
    ) -> CreateResult:
        """One answer; transport errors and refused ways of asking are dealt with here."""
        failures = 0
        while True:
            began = time.monotonic()
            try:
                async with asyncio.timeout(self._patience.call_seconds):
                    result = await self._call(messages, form, json_output, call)
            except AgentError:
                raise
            except Exception as error:
                if form is not None and _status(error) in MALFORMED_REQUEST and self._way != WAYS[-1]:
                    self._way = WAYS[WAYS.index(self._way) + 1]
                    log.info("asking_differently", model=self.signature, way=self._way, why=_line(error))
                    continue
                if not is_transient(error) or failures >= self._patience.transport:
                    self._give_up(error)
                pause = min(self._patience.first_pause * 2**failures, self._patience.longest_pause)
                failures += 1
                log.warning("model_call_failed", model=self.signature, pause=pause, why=_line(error))
                await self._sleep(pause)
                continue
            log.info(
                "model_answered",
                model=self.signature,
                role=role_of(form),
                seconds=round(time.monotonic() - began, 3),
                prompt_tokens=result.usage.prompt_tokens,
                completion_tokens=result.usage.completion_tokens,
            )
            return result

    async def _call(
        self, messages: list[LLMMessage], form: type[BaseModel] | None, json_output: JsonOutput, call: _Call
    ) -> CreateResult:
        extra = dict(call.extra)
        if form is not None:
            messages = instructed(messages, form)
            json_output = True if self._way == "json" else None
            if self._way == "schema":
                extra, json_output = self._constrained(extra, form)
        return await self.inner.create(
            messages,
            tools=call.tools,
            tool_choice=call.tool_choice,
            json_output=json_output,
            extra_create_args=extra,
            cancellation_token=call.cancellation_token,
        )

    def _constrained(self, extra: dict[str, Any], form: type[BaseModel]) -> tuple[dict[str, Any], JsonOutput]:
        # OpenAI's own parser would raise on an invalid reply and lose its text: we hand over the schema and parse here.
        if type(self.inner).__name__.startswith(("OpenAI", "AzureOpenAI")):
            schema = {"name": form.__name__, "schema": form.model_json_schema(), "strict": False}
            return extra | {"response_format": {"type": "json_schema", "json_schema": schema}}, None
        return extra, form

    def _give_up(self, error: Exception) -> NoReturn:
        status = _status(error)
        if status in (401, 403):
            advice = "check the API key"
        elif status == 404:
            advice = "check the model's name and --base-url"
        else:
            advice = "check that the endpoint runs, or name another --model"
        raise ModelUnavailable(f"{self.signature} does not answer ({_line(error)}): {advice}") from error

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = [],
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: JsonOutput = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        """As one piece: what streams before it validates may have to be taken back."""
        yield await self.create(
            messages,
            tools=tools,
            tool_choice=tool_choice,
            json_output=json_output,
            extra_create_args=extra_create_args,
            cancellation_token=cancellation_token,
        )

    @property
    def model_info(self) -> ModelInfo:
        """Of the inner client, with structured replies: this wrapper is what makes them."""
        return ModelInfo(**{**self.inner.model_info, "structured_output": True, "json_output": True})


@dataclass(frozen=True, slots=True)
class _Call:
    """What AutoGen passes along, unchanged."""

    tools: Sequence[Tool | ToolSchema]
    tool_choice: Tool | Literal["auto", "required", "none"]
    extra: Mapping[str, Any]
    cancellation_token: CancellationToken | None


# Pure ----------------------------------------------------------------------------------------------------------


def validated(text: str, form: type[BaseModel]) -> tuple[BaseModel | None, str]:
    """The reply in `text`, wherever in it a JSON object of this form stands; or None and what is wrong with it."""
    problem = "there is no JSON object in the reply"
    for candidate in _objects(text):
        try:
            return form.model_validate(candidate), ""
        except ValidationError as error:
            problem = "; ".join(_clause(item) for item in error.errors()[:5])
    return None, problem


def instructed(messages: Sequence[LLMMessage], form: type[BaseModel]) -> list[LLMMessage]:
    """The messages with the form of the reply spelled out in the first system message (or a new one)."""
    schema = json.dumps(form.model_json_schema(), ensure_ascii=False)
    words = f"Answer with one JSON object and nothing else. It must validate against this JSON schema:\n{schema}"
    first, rest = (messages[0], messages[1:]) if messages else (None, [])
    if isinstance(first, SystemMessage):
        return [SystemMessage(content=f"{first.content}\n\n{words}"), *rest]
    return [SystemMessage(content=words), *messages]


def is_transient(error: Exception) -> bool:
    """Whether asking again may help: timeouts, lost connections, rate limits, and the server's own faults."""
    status = _status(error)
    if status is not None:
        return status in TRANSIENT
    names = {kind.__name__ for kind in type(error).__mro__}
    lost = {"APIConnectionError", "TransportError", "ConnectionError", "TimeoutError", "ReadError"}
    return bool(names & lost)


def _objects(text: str) -> Iterator[Any]:
    """Every JSON object that starts somewhere in `text`, outermost first; fences and prose do not matter."""
    decoder = json.JSONDecoder(strict=False)  # models put raw newlines into strings
    place = tries = 0
    while (place := text.find("{", place)) >= 0 and tries < MOST_STARTS:
        tries += 1
        try:
            value, end = decoder.raw_decode(text, place)
        except RecursionError:
            return
        except ValueError:
            place += 1
            continue
        yield value
        place = end


def _clause(item: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in item["loc"]) or "the reply"
    return f"{where}: {item['msg']}"


def _again(problem: str) -> str:
    return (
        f"Your reply did not validate: {problem}. Answer again with the whole corrected JSON object and nothing else."
    )


def _status(error: Exception) -> int | None:
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) and status > 0 else None


def _line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__


def _sum(one: RequestUsage, other: RequestUsage) -> RequestUsage:
    return RequestUsage(
        prompt_tokens=one.prompt_tokens + other.prompt_tokens,
        completion_tokens=one.completion_tokens + other.completion_tokens,
    )

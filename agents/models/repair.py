"""A client around another that gives back valid replies or an `AgentError`: an invalid one would wedge AutoGen's team.

    create -> _valid: ask, read the object, ask again with what was wrong   (answers.py)
           -> _asked: one answer, whatever the endpoint does                (faults.py, shrink.py; wire.py below it)

An outage is waited out, for as long as the caller lets the task live: `on_wait` is called once, and again when it is
over. A server that keeps failing at a call is asked something small: fails it at that too, it is an outage; if not, the
request is at fault and costs one call (`ModelReplyInvalid`), never the campaign. A key or a name that is wrong is
`ModelUnavailable` at once; one that has worked may be a provider's mistake, and is tried for some minutes more.
`trial` asks once before anything else is done, and waits less.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import structlog
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    ModelInfo,
    RequestUsage,
    UserMessage,
)
from pydantic import BaseModel

from move37.agents.errors import AgentError, ModelReplyInvalid, ModelUnavailable
from move37.agents.models.answers import answered
from move37.agents.models.asking import SMALL, Ready, asked_again, instructed, spoken
from move37.agents.models.calls import bounded
from move37.agents.models.client import FACTS, ClientWrapper, JsonOutput, role_of
from move37.agents.models.faults import Fault, Kind, diagnose, pause, sentence
from move37.agents.models.shrink import Shorter, shorter, size, window_of
from move37.agents.models.tries import Tries, waiting
from move37.agents.models.wire import EXCHANGE, REPLY_CAP, Exchange

log = structlog.get_logger()

Arguments = Mapping[str, Any]  # of `create`, passed on as they came
LONGEST_SHOWN = 2_000  # characters of an invalid reply that go back to the model
LEAST_REPLY = 256  # tokens: below this a reply is not worth asking for, and the prompt is cut instead
WINDOW_SECONDS = 20.0  # for the answer to how long a prompt may be
LOST_IN_A_ROW = 12  # lost calls without one answer between them: the endpoint, not the requests, is at fault


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often a model is asked again, and how long it is waited for."""

    replies: int = 2  # further attempts after an invalid reply
    hiccups: int = 4  # further attempts after the server failed at a call
    shrinks: int = 4  # further attempts with a shorter prompt
    first_pause: float = 0.5  # seconds; doubles each time
    longest_pause: float = 120.0  # seconds, where the server does not say how long
    outage_seconds: float | None = None  # how long an outage is waited out; None: until the task is cancelled
    refused_seconds: float = 600.0  # how long a key or a name that has worked is tried again
    call_seconds: float = 600.0  # wall clock of one call, from its turn on
    at_once: int | None = None  # calls that are asked side by side; None: all that come


class StructuredOutputClient(ClientWrapper):
    """See the module. `on_wait` gets a sentence when an outage begins and when it ends; `sleep` is there for tests."""

    def __init__(
        self,
        inner: ChatCompletionClient,
        *,
        signature: str,
        policy: RetryPolicy | None = None,
        on_wait: Callable[[str], None] = lambda text: None,
        shorter: Shorter = shorter,
        ask_window: Callable[[], Awaitable[int | None]] | None = None,
        turns: asyncio.Semaphore | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(inner)
        self.signature = signature
        self.on_wait = on_wait
        self._policy = policy or RetryPolicy()
        self._shorter = shorter
        self._ask_window = ask_window
        self._window: int | None = None
        self._sleep = sleep
        self._away_since: float | None = None  # monotonic: an outage goes on
        self._answered = False  # it has served a call
        self._lost = 0  # calls, since the last answer
        limit = self._policy.at_once
        own = asyncio.Semaphore(limit) if limit else nullcontext()
        self._turns: AbstractAsyncContextManager[Any] = turns or own  # given: of a server that other clients ask too

    async def create(
        self, messages: Sequence[LLMMessage], *, json_output: JsonOutput = None, **arguments: Any
    ) -> CreateResult:
        """A reply that validates against `json_output`, or tool calls; usage counts every attempt.

        Raises `ModelReplyInvalid` with the last text, or `ModelUnavailable`.
        """
        named = spoken(messages)
        if isinstance(json_output, type) and issubclass(json_output, BaseModel):
            return await self._valid(named, json_output, arguments)
        return await self._asked(named, None, json_output, arguments, self._policy)

    async def trial(self, *, seconds: float = 600.0) -> RequestUsage:
        """One small call: raises `ModelUnavailable` when no call can succeed. A server that starts is waited for.

        What it answers does not matter; a model that obeys badly is still a model. Returns what the call cost.
        """
        policy = replace(self._policy, outage_seconds=seconds, hiccups=1)
        result = await self._asked(SMALL, Ready, None, {}, policy)
        if self._ask_window is not None:
            try:
                async with asyncio.timeout(WINDOW_SECONDS):
                    self._window = await self._ask_window()
            except Exception as error:  # of any SDK: who does not say it has a window all the same
                log.info("window_unknown", model=self.signature, why=str(error)[:300])
        return result.usage

    @property
    def window(self) -> int | None:
        """As the provider said after the trial call, or as a refusal has said since."""
        return self._window

    async def _valid(self, messages: list[LLMMessage], form: type[BaseModel], arguments: Arguments) -> CreateResult:
        asked, spent = messages, RequestUsage(prompt_tokens=0, completion_tokens=0)
        text, problem = "", ""
        for attempt in range(self._policy.replies + 1):
            try:
                result = await self._asked(asked, form, None, arguments, self._policy)
            except ModelReplyInvalid as error:
                raise ModelReplyInvalid(
                    str(error), text, prompt_tokens=spent.prompt_tokens, completion_tokens=spent.completion_tokens
                ) from error
            spent = _sum(spent, result.usage)
            tools = [t["name"] if isinstance(t, Mapping) else t.name for t in arguments.get("tools") or ()]
            if (found := answered(result, form, tools)) is None:  # the agent calls tools, and answers those it lacks
                return result.model_copy(update={"usage": spent, "content": bounded(result.content)})
            text, reply, problem = found
            if reply is not None:
                return result.model_copy(update={"content": reply.model_dump_json(), "usage": spent})
            if result.finish_reason == "length":
                problem = f"the reply was cut off at its token limit; be shorter ({problem})"
            elif result.finish_reason == "content_filter":
                problem = f"the provider's filter withheld the reply ({problem})"
            log.warning("reply_invalid", role=role_of(form), model=self.signature, attempt=attempt, why=problem)
            asked = [
                *messages,
                AssistantMessage(content=text[:LONGEST_SHOWN] or "(empty)", source="assistant"),
                UserMessage(content=asked_again(problem), source="Lab"),
            ]
        raise ModelReplyInvalid(
            f"{self.signature} gave no valid {form.__name__} in {attempt + 1} attempts: {problem}",
            text=text,
            prompt_tokens=spent.prompt_tokens,
            completion_tokens=spent.completion_tokens,
        )

    async def _asked(
        self,
        messages: Sequence[LLMMessage],
        form: type[BaseModel] | None,
        json_output: JsonOutput,
        arguments: Arguments,
        policy: RetryPolicy,
    ) -> CreateResult:
        """One answer. Outages, failures and prompts that are too long are dealt with here."""
        tries = Tries()
        while True:
            seen = Exchange()
            try:
                result = await self._once(messages, form, json_output, arguments, seen, tries)
            except AgentError:
                raise
            except Exception as error:
                fault = diagnose(error, seen)
                log.warning("model_call_failed", model=self.signature, kind=fault.kind.value, why=fault.words[:300])
                if (
                    fault.kind is Kind.OUTAGE
                    and fault.its_own
                    and tries.outages >= policy.hiccups
                    and messages is not SMALL
                ):
                    fault, tries.hiccups = replace(fault, kind=Kind.HICCUP), policy.hiccups  # is it well otherwise?
                if fault.kind is Kind.OVERFLOW and tries.shrinks < policy.shrinks:
                    messages = self._smaller(messages, fault, tries)
                elif (fault.kind is Kind.OUTAGE and not self._too_long_away(policy, fault)) or (
                    fault.kind is Kind.REFUSED and self._may_be_lifted(policy, tries)
                ):
                    await self._wait(fault, tries, policy)
                elif fault.kind is Kind.HICCUP and tries.hiccups < policy.hiccups:
                    tries.hiccups += 1
                    seconds = pause(fault, tries.hiccups - 1, first=policy.first_pause, longest=20.0)
                    with waiting(tries):  # not longer, whatever it asks for: nobody is told of it
                        await self._sleep(min(seconds, policy.longest_pause))
                elif fault.kind is Kind.HICCUP and messages is not SMALL and not tries.serves_others:
                    tries.serves_others = await self._serves_others()
                    if not tries.serves_others:  # else it is asked once more: the trouble may have ended just now
                        await self._wait(replace(fault, kind=Kind.OUTAGE), tries, policy)
                else:
                    self._give_up(fault, error)
                continue
            self._back(result, seen, role_of(form), tries)
            return result.model_copy(update={"cached": False})

    async def _serves_others(self) -> bool:
        """Whether the server answers something small: then its trouble is with one request, and not its own."""
        seen = Exchange()
        try:
            await self._once(SMALL, Ready, None, {}, seen, Tries())
        except Exception as error:  # of any SDK, as in `_asked`
            return diagnose(error, seen).kind not in (Kind.HICCUP, Kind.OUTAGE)
        return True

    async def _once(
        self,
        messages: Sequence[LLMMessage],
        form: type[BaseModel] | None,
        json_output: JsonOutput,
        arguments: Arguments,
        seen: Exchange,
        tries: Tries,
    ) -> CreateResult:
        extra = dict(arguments.get("extra_create_args", {}))
        if form is not None:
            messages = instructed(messages, form, tools=bool(arguments.get("tools")))
            if not arguments.get("tools"):  # decoding that is held to the form could not call a tool
                extra, json_output = self._constrained(extra, form)
        exchange, cap = EXCHANGE.set(seen), REPLY_CAP.set(tries.reply_cap)
        try:
            async with AsyncExitStack() as turn:
                with waiting(tries):  # for one's turn: it is not the call's
                    await turn.enter_async_context(self._turns)
                tries.asked_at = time.monotonic()
                async with asyncio.timeout(self._policy.call_seconds):
                    changed = {"json_output": json_output, "extra_create_args": extra}
                    return await self.inner.create(messages, **{**arguments, **changed})
        finally:
            EXCHANGE.reset(exchange)
            REPLY_CAP.reset(cap)

    def _constrained(self, extra: dict[str, Any], form: type[BaseModel]) -> tuple[dict[str, Any], JsonOutput]:
        # OpenAI's own parser would raise on an invalid reply and lose its text: we hand over the schema and parse here.
        name = type(self.inner).__name__
        if name.startswith(("OpenAI", "AzureOpenAI")) or self.holds_form:
            schema = {"name": form.__name__, "schema": form.model_json_schema(), "strict": False}
            return extra | {"response_format": {"type": "json_schema", "json_schema": schema}}, None
        info = self.inner.model_info
        return extra, form if info.get("structured_output") else True if info["json_output"] else None

    def _smaller(self, messages: Sequence[LLMMessage], fault: Fault, tries: Tries) -> Sequence[LLMMessage]:
        tries.shrinks += 1
        window, prompt = window_of(fault.words)
        self._window = min(window, self._window or window) if window else self._window
        if window and prompt and prompt + LEAST_REPLY < window and tries.reply_cap is None:
            tries.reply_cap = max(1, window - prompt - 16)  # the prompt fits: the reply was promised too much room
            return messages
        now = size(messages)
        share = min(0.75, 0.8 * window / prompt) if window and prompt and prompt > window else 0.75
        return list(self._shorter(messages, int(now * share)))

    async def _wait(self, fault: Fault, tries: Tries, policy: RetryPolicy) -> None:
        seconds = pause(fault, tries.outages, first=self._policy.first_pause, longest=self._policy.longest_pause)
        tries.outages += 1
        if self._away_since is None:
            self._away_since = time.monotonic()
        if tries.outages == 3 or (tries.outages < 3 and seconds >= 2.0 and not tries.told):
            tries.told = True
            limit = "" if policy.outage_seconds is None else f", for at most {round(policy.outage_seconds / 60)} min"
            self.on_wait(
                f"{sentence(self.signature, fault)}. It is asked again, next in {max(1, round(seconds))} s{limit}."
            )
        with waiting(tries):
            await self._sleep(seconds)

    def _too_long_away(self, policy: RetryPolicy, fault: Fault) -> bool:
        """Whether an outage has lasted too long, or will by what the server says."""
        if policy.outage_seconds is None:
            return False
        away = 0.0 if self._away_since is None else time.monotonic() - self._away_since
        if fault.after is not None and away + fault.after > policy.outage_seconds:
            return True
        return self._away_since is not None and away >= policy.outage_seconds

    def _may_be_lifted(self, policy: RetryPolicy, tries: Tries) -> bool:
        """Whether a refusal may be the provider's mistake: this key and this name have worked, not long ago."""
        now = time.monotonic()
        tries.refused_since = now if tries.refused_since is None else tries.refused_since
        return self._answered and now - tries.refused_since < policy.refused_seconds

    def _back(self, result: CreateResult, seen: Exchange, role: str, tries: Tries) -> None:
        if self._away_since is not None:
            away = time.monotonic() - self._away_since
            self._away_since = None
            if away >= 2.0:
                self.on_wait(f"{self.signature} answers again, after {away:.0f} s.")
        self._lost, self._answered = 0, True
        if (facts := FACTS.get()) is not None:
            facts.attempts += 1
            facts.cached_tokens += seen.cached_tokens
        log.info(
            "model_answered",
            model=self.signature,
            role=role,
            seconds=round(time.monotonic() - tries.asked_at, 3),
            waited=round(tries.waited, 3),
            prompt_tokens=result.usage.prompt_tokens,
            completion_tokens=result.usage.completion_tokens,
            cached_tokens=seen.cached_tokens,
        )

    def _give_up(self, fault: Fault, error: Exception) -> NoReturn:
        words = sentence(self.signature, fault)
        if fault.kind in (Kind.REFUSED, Kind.OUTAGE):
            raise ModelUnavailable(words) from error
        self._lost += 1
        if self._lost >= LOST_IN_A_ROW:
            raise ModelUnavailable(f"{words}; so were the {self._lost} calls before it") from error
        raise ModelReplyInvalid(words) from error

    @property
    def model_info(self) -> ModelInfo:
        """Of the inner client, with structured replies: this wrapper is what makes them."""
        return ModelInfo(**{**self.inner.model_info, "structured_output": True, "json_output": True})


# Pure ----------------------------------------------------------------------------------------------------------


def _sum(one: RequestUsage, other: RequestUsage) -> RequestUsage:
    return RequestUsage(
        prompt_tokens=one.prompt_tokens + other.prompt_tokens,
        completion_tokens=one.completion_tokens + other.completion_tokens,
    )

"""A language model in a role: an AutoGen `AssistantAgent` for which the typed messages are rendered into text.

Read `LanguageModel.sit`, then `LanguageModelAgent._told`: the context by rendering.py within the model's budget of
tokens, everything else as labelled text, each with the speaker's name in its first line (servers drop names).
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, StructuredMessage, TextMessage
from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import (
    ChatCompletionClient,
    FunctionExecutionResult,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import ToolSchema
from pydantic import BaseModel

from move37.agents import blocks, prompts
from move37.agents.formatting import readable
from move37.agents.messages import Opening, Precedents, Refused, Results
from move37.agents.metering import Metered
from move37.agents.models.calls import CUT, LONGEST_CALL
from move37.agents.models.client import ClientWrapper
from move37.agents.models.provider import CONTEXT_TOKENS
from move37.agents.models.providers import PROVIDERS
from move37.agents.models.window import context_budget
from move37.agents.planning import PlanningClient
from move37.agents.rendering import Count, front, render
from move37.agents.replies import Principles, Proposals
from move37.agents.results import Attempt
from move37.agents.roles import LAB, RoleContext
from move37.lab.records import Measurement
from move37.memory import render as remembered

TOOL_ROUNDS = 6  # model calls in one turn that may use tools; the next one has to answer
CHARACTERS_A_TOKEN = 3.5  # where a client cannot count


class LanguageModel:
    """Fills any of the five roles with one client, which it shares with other experiments."""

    uses_language = True
    repairs = True

    def __init__(self, client: ChatCompletionClient, *, signature: str) -> None:
        self.client = client
        self.signature = signature

    @functools.cached_property
    def _count(self) -> Count:
        """Made once a client: one that cannot count may ask the network first, and every experiment would wait."""
        return counter(self.client)

    def agent_factory(self, role: RoleContext) -> Callable[[], LanguageModelAgent]:
        """A function that makes a new agent; called once a stage."""
        metered = Metered(self.client, role)
        budget = self.budget(role)
        asked = (lambda: PlanningClient(metered)) if role.member.reply is Proposals else lambda: metered
        return lambda: LanguageModelAgent(role, asked(), budget=budget, count=self._count)

    def budget(self, role: RoleContext) -> int:
        """Tokens of a rendered context, by what is known of the window now: a refusal may have named it since."""
        provider = self.signature.partition(":")[0]
        window: int | None = getattr(self.client, "window", None)
        return context_budget(
            window,
            contract=self._count(front(role.task)) if window else 0,
            setting=role.context_tokens,
            default=next((p.context_tokens for p in PROVIDERS if p.name == provider), CONTEXT_TOKENS),
        )

    async def reflect(self, role: RoleContext, *, principles: Sequence[str], lessons: Sequence[str]) -> Principles:
        """One question outside of any experiment. Raises what the client raises."""
        words = prompts.fill("reflection", principles="\n".join(principles), lessons="\n".join(lessons))
        asked: list[LLMMessage] = [
            SystemMessage(content=front(role.task)),
            UserMessage(content=f"{LAB}:\n{words}", source=LAB),
        ]
        result = await Metered(self.client, role).create(asked, json_output=Principles)
        return Principles.model_validate_json(str(result.content))

    async def close(self) -> None:
        """Close the client."""
        await self.client.close()


class LanguageModelAgent(AssistantAgent):
    """One role in one stage."""

    def __init__(self, role: RoleContext, client: ClientWrapper, *, budget: int, count: Count) -> None:
        tools = list(role.tools()) if client.model_info["function_calling"] else []
        super().__init__(
            role.member.name,
            client,
            description=role.member.description,
            system_message=front(role.task),
            output_content_type=role.member.reply,
            tools=tools or None,  # type: ignore[arg-type]
            max_tool_iterations=TOOL_ROUNDS if tools else 1,
            reflect_on_tool_use=True,  # after the last round it is asked once more, without tools
        )
        self._client = client
        self._budget = budget
        self._count = count

    async def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
        """As an `AssistantAgent`, with the typed messages rendered as text."""
        told = [TextMessage(content=self._told(m), source=m.source) for m in messages]
        async for item in super().on_messages_stream(told, cancellation_token):
            yield item

    @staticmethod
    async def _execute_tool_call(  # type: ignore[override]  # whose other arguments are passed on
        tool_call: FunctionCall, **around: Any
    ) -> tuple[FunctionCall, FunctionExecutionResult]:
        """As an `AssistantAgent`, which answers what it cannot call in words of its own code: ours say what can be.

        AutoGen 0.7.5 has no other place for this; a test calls what does not exist.
        """
        try:
            call, result = await AssistantAgent._execute_tool_call(tool_call, **around)
            if not result.is_error:
                return call, result
        except (ValueError, RecursionError):  # arguments that no reader of JSON takes: numbers or nesting without end
            call = tool_call
        tools = [tool for bench in around["workbench"] for tool in await bench.list_tools()]
        words = not_called(call, tools)
        return call, FunctionExecutionResult(content=words, call_id=call.id, is_error=True, name=call.name)

    def _told(self, message: BaseChatMessage) -> str:
        if not isinstance(message, StructuredMessage):
            return f"{message.source}:\n{message.to_text()}"
        content = message.content
        if isinstance(content, Opening):
            if isinstance(self._client, PlanningClient):
                self._client.read(content.context)
            text = render(content.context, self.name, budget=self._budget, count=self._count).text
        else:
            text = told(content)
        return f"{message.source}:\n{text}"


def not_called(call: FunctionCall, tools: Sequence[ToolSchema]) -> str:
    """Why a call could not be made, in a sentence for the model that made it. Pure."""
    tool = next((t for t in tools if t["name"] == call.name), None)
    if tool is None:
        names = ", ".join(t["name"] for t in tools)
        return f"There is no tool {call.name[:60]!r}: there are {names}. Call one of these, or give your answer."
    if CUT in call.arguments[-80:]:
        return f"The arguments of {call.name} are too long{call.arguments.partition(CUT)[2]}: at most {LONGEST_CALL}."
    wanted = dict(tool.get("parameters", {}).get("properties", {}))
    named = ", ".join(f"{name} ({facts.get('type', 'any')})" for name, facts in wanted.items())
    return f"{call.name} takes one JSON object with {named}, not {call.arguments[:60]!r}: call it again, or answer."


def told(content: BaseModel) -> str:
    """A typed message as text for a model. Pure."""
    match content:
        case Precedents():
            return _precedents(content)
        case Refused():
            return _refused(content)
        case Results():
            return _results(content)
    return readable(content)


def counter(client: ChatCompletionClient) -> Count:
    """The client's own count of tokens, or an estimate where it has none (some count by a file from the network)."""
    try:
        counts = client.count_tokens([UserMessage(content="one two three", source="Lab")]) > 0
    except Exception:  # a foreign tokenizer may raise anything, and an estimate will do
        counts = False
    if not counts:
        return lambda text: int(len(text) / CHARACTERS_A_TOKEN) + 1
    return lambda text: client.count_tokens([UserMessage(content=text, source="Lab")])


def _precedents(content: Precedents) -> str:
    parts = [f"Precedents of {p.idea}: {_both(p)}" for p in content.ideas]
    return "\n".join([*parts, *(f"This cannot be judged: {p}" for p in content.problems)]) or "No precedents."


def _both(precedent: Any) -> str:
    return f"{remembered.newness(precedent.newness)} {remembered.dead_end(precedent.dead_end)}"


def _refused(content: Refused) -> str:
    if not content.gates:  # no file yet: edits were to be made in the base's, which stands above
        return f"Your last answer made no file. {content.problem}"
    source = content.candidate.source
    parts = [f"Attempt {content.candidate.attempt} was refused."]
    parts += [f"It was written because: {blocks.line(content.diagnosis)}"] if content.diagnosis else []
    for gate in content.gates:
        parts.append(f"Gate {gate.name} (measured {gate.value}, limit {gate.limit}): {gate.message}")
        if gate.traceback:
            parts.append(blocks.fence(gate.traceback, "text"))
    parts += [f"Your last answer made no file. {content.problem}"] if content.problem else []
    parts += ["The refused file:", blocks.fence(source)]
    earlier = [_attempt(n, a) for n, a in enumerate(content.attempts, start=1)]
    return "\n".join([*parts, *(["Tried before:", *earlier] if earlier else [])])


def _attempt(number: int, attempt: Attempt) -> str:
    gates = "; ".join(f"{g.name}: {g.message}" for g in attempt.gates if g.passed is False)
    why = f" ({blocks.line(attempt.diagnosis)})" if attempt.diagnosis else ""
    return f"- attempt {number}{why} was refused by {blocks.line(gates)}"


def _results(content: Results) -> str:
    parts = [f"Gains: {blocks.effects(content.effects)}."] if blocks.effects(content.effects) else []
    parts += [f"Verdict: {blocks.line(content.verdict)}"] if content.verdict else []
    parts += [f"It ended early: {content.failure}"] if content.failure else []
    parts += [f"Gate {g.name}: {g.message}" for g in content.gates if g.message not in content.failure]
    parts += ["Measured:", *_numbers(content.measurements)] if content.measurements else ["Nothing was measured."]
    others = [b for b in content.baselines.items() if b[1] not in content.parents.values()]
    for name, found in (*content.parents.items(), *others):
        parts += [f"{name} at the same steps:", *_numbers(found)] if found else []
    parts += ["What its file changes in its base's:", blocks.fence(content.diff, "diff")] if content.diff else []
    return "\n".join(parts)


def _numbers(found: Sequence[Measurement]) -> list[str]:
    return [
        f"- {m.metric} {m.value:.6g} at {m.steps} steps, seed {m.seed}, rate {m.learning_rate:g}"
        f"{', diverged' if m.diverged else ''}, {m.train_seconds:.0f} s"
        for m in found
    ]

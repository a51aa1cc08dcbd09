"""A model client that answers what a test wrote down: for tests of the conversation itself, not of any model."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from autogen_core import FunctionCall
from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage, ModelInfo, RequestUsage
from pydantic import BaseModel

from move37.agents.replies import Code, Critique, Fix, Proposal, Proposals, Report

Answer = Callable[[Sequence[LLMMessage]], BaseModel]


class Scripted(ChatCompletionClient):
    """Answers by the type that is asked for; a list is worked off, its last item repeats."""

    component_type = "model"
    component_config_schema = BaseModel

    def __init__(self, **answers: Any) -> None:
        self._answers: dict[str, Any] = {k: list(v) if isinstance(v, list) else [v] for k, v in answers.items()}
        self.heard: list[tuple[str, list[str]]] = []
        self.tools: list[list[str]] = []
        self.calls_tools = False

    async def create(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[Any] = (), json_output: Any = None, **_: Any
    ) -> CreateResult:
        kind = json_output.__name__
        self.heard.append((kind, [str(m.content) for m in messages]))
        self.tools.append([t["name"] if isinstance(t, dict) else t.name for t in tools])
        script = self._answers["Proposal" if kind == "Proposals" and "Proposals" not in self._answers else kind]
        answer = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(answer, Exception):
            raise answer
        reply = answer(messages) if callable(answer) else answer
        if isinstance(reply, list):  # calls of tools
            calls = [FunctionCall(id=str(n), name=name, arguments=words) for n, (name, words) in enumerate(reply)]
            return CreateResult(finish_reason="function_calls", content=calls, usage=usage(), cached=False)
        reply = Proposals(ideas=[reply]) if isinstance(reply, Proposal) else reply
        return CreateResult(finish_reason="stop", content=reply.model_dump_json(), usage=usage(), cached=False)

    async def create_stream(self, messages: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        yield await self.create(messages, **kwargs)

    async def close(self) -> None: ...

    def actual_usage(self) -> RequestUsage:
        return RequestUsage(prompt_tokens=0, completion_tokens=0)

    def total_usage(self) -> RequestUsage:
        return RequestUsage(prompt_tokens=0, completion_tokens=0)

    def count_tokens(self, messages: Any, **_: Any) -> int:
        return 0

    def remaining_tokens(self, messages: Any, **_: Any) -> int:
        return 10_000

    @property
    def capabilities(self) -> Any:
        return self.model_info

    @property
    def model_info(self) -> ModelInfo:
        return ModelInfo(
            vision=False,
            function_calling=self.calls_tools,
            json_output=True,
            family="scripted",
            structured_output=True,
        )


def usage() -> RequestUsage:
    return RequestUsage(prompt_tokens=10, completion_tokens=5)


def offered(*ideas: Proposal, **more: Any) -> Proposals:
    return Proposals(ideas=list(ideas), **more)


def a_proposal(**changes: Any) -> Proposal:
    fields: dict[str, Any] = {
        "name": "floor_on_decay",
        "base": "linear",
        "family": "gla",
        "motivation": "2312.06635 gates the state; a floor keeps it alive.",
        "change": "a learned floor under the decay",
        "predicted_effect": "0.02 bits per byte less",
        "probe": "overwrite_recall",
        "risk": "too little forgetting",
        "cites": ["2312.06635"],
    }
    return Proposal(**(fields | changes))


def accepted(**changes: Any) -> Critique:
    fields: dict[str, Any] = {"accept": True, "ground": "none", "reason": "It can be tested."}
    return Critique(**(fields | changes))


def objection(**changes: Any) -> Critique:
    fields: dict[str, Any] = {"accept": False, "ground": "novelty", "reason": "Tried in c1-001."}
    return Critique(**(fields | changes))


def some_code(source: str = "class Mixer:\n    pass\n", **changes: Any) -> Code:
    return Code(source=source, **changes)


def a_fix(source: str = "class Mixer:\n    fixed = True\n", **changes: Any) -> Fix:
    return Fix(**({"diagnosis": "A shape was wrong.", "source": source} | changes))


def a_report(**changes: Any) -> Report:
    fields = {
        "expected": "less loss",
        "seen": "no change",
        "why": "one seed",
        "next": "more seeds",
        "symptoms": ["flat"],
    }
    return Report(**(fields | changes))

"""A bare model client that answers given texts, or raises given errors, and keeps what it was asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autogen_core.models import CreateResult, LLMMessage, ModelInfo, RequestUsage

from move37.agents.models.client import LocalClient, text_of


class Texts(LocalClient):
    """Raw texts, as a model without any repair gives them."""

    signature = "texts"

    def __init__(self, *answers: Any, structured: bool = False, finish: Any = "stop") -> None:
        self._answers = list(answers)
        self._structured = structured
        self._finish = finish
        self.asked: list[list[str]] = []
        self.options: list[dict[str, Any]] = []

    async def answer(self, messages: Sequence[LLMMessage], json_output: Any) -> str:
        raise AssertionError("create is used")

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        self.asked.append([text_of(m) for m in messages])
        self.options.append(options)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        usage = RequestUsage(prompt_tokens=10, completion_tokens=5)
        return CreateResult(finish_reason=self._finish, content=answer, usage=usage, cached=False)

    @property
    def model_info(self) -> ModelInfo:
        return ModelInfo(
            vision=False,
            function_calling=False,
            json_output=self._structured,
            family="unknown",
            structured_output=self._structured,
        )

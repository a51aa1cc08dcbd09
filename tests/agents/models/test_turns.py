"""A server that answers one call at a time: who waits for a turn loses none of its own time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from autogen_core.models import CreateResult, RequestUsage, UserMessage
from autogen_ext.models.replay import ReplayChatCompletionClient

from move37.agents.models import ModelOptions, provider_of
from move37.agents.models.provider import reply_seconds
from move37.agents.models.repair import RetryPolicy, StructuredOutputClient

CALL = 0.3  # seconds


class SlowServer(ReplayChatCompletionClient):
    """Answers after a while; counts who is answered at once."""

    def __init__(self) -> None:
        super().__init__(["unused"])
        self.now = self.most = 0

    async def create(self, *arguments: Any, **named: Any) -> CreateResult:
        """One answer."""
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(CALL)
        finally:
            self.now -= 1
        usage = RequestUsage(prompt_tokens=1, completion_tokens=1)
        return CreateResult(finish_reason="stop", content="{}", usage=usage, cached=False)


@pytest.mark.parametrize(("at_once", "most"), [(1, 1), (2, 2), (None, 6)])
def test_who_waits_for_a_turn_is_not_out_of_time(at_once: int | None, most: int) -> None:
    server = SlowServer()
    policy = RetryPolicy(call_seconds=2 * CALL, at_once=at_once, hiccups=0)
    client = StructuredOutputClient(server, signature="local:slow", policy=policy)
    asked = [UserMessage(content="?", source="Lab")]

    async def all_ask() -> list[CreateResult]:
        return await asyncio.gather(*(client.create(asked) for _ in range(6)))

    assert len(asyncio.run(all_ask())) == 6
    assert server.most == most


def test_a_turn_is_free_again_when_its_call_is_cancelled() -> None:
    server = SlowServer()
    client = StructuredOutputClient(server, signature="local:slow", policy=RetryPolicy(at_once=1))
    asked = [UserMessage(content="?", source="Lab")]

    async def one_gives_up() -> CreateResult:
        first, second = (asyncio.create_task(client.create(asked)) for _ in range(2))
        await asyncio.sleep(CALL / 3)
        second.cancel()  # while it waits for its turn
        first.cancel()  # while it is asked
        await asyncio.gather(first, second, return_exceptions=True)
        return await client.create(asked)

    assert asyncio.run(one_gives_up()).content == "{}"


@pytest.mark.parametrize(
    ("uri", "base_url", "seconds"),
    [
        ("local:smollm2-135m", None, 1800.0),
        ("ollama:x", None, 1800.0),
        ("openai:x", "http://127.0.0.1:8000/v1", 1800.0),
        ("openai:x", "https://example.org/v1", 300.0),
        ("anthropic:x", None, 300.0),
    ],
)
def test_a_model_on_this_machine_may_take_longer(uri: str, base_url: str | None, seconds: float) -> None:
    provider = provider_of(uri)
    assert provider is not None
    assert reply_seconds(provider, ModelOptions(base_url=base_url)) == seconds
    assert reply_seconds(provider, ModelOptions(base_url=base_url, reply_seconds=5.0)) == 5.0


def test_our_own_process_is_asked_one_call_at_a_time() -> None:
    provider = provider_of("local:smollm2-135m")
    assert provider is not None and provider.at_once == 1

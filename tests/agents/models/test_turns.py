"""A server that answers one call at a time: who waits for a turn loses none of its own time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import structlog
from autogen_core.models import CreateResult, RequestUsage, UserMessage
from autogen_ext.models.replay import ReplayChatCompletionClient

from move37.agents.metering import Metered
from move37.agents.models import ModelOptions, open_model, provider_of
from move37.agents.models.provider import reply_seconds
from move37.agents.models.repair import RetryPolicy, StructuredOutputClient
from move37.agents.roles import MEMBERS, CallUsage, RoleContext
from tests.agents.search.views import opening

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


@pytest.mark.parametrize("cancelled", [False, True])
def test_the_wait_for_a_turn_is_counted_beside_the_call_and_not_in_it(cancelled: bool) -> None:
    """However the wait ends; what the log says of each call is the call's own."""
    client = StructuredOutputClient(SlowServer(), signature="local:slow", policy=RetryPolicy(at_once=1))
    used: list[CallUsage] = []

    async def all_ask() -> None:
        asked = [Metered(client, a_role(used)).create([UserMessage(content="?", source="Lab")]) for _ in range(3)]
        tasks = [asyncio.create_task(one) for one in asked]
        if cancelled:
            await asyncio.sleep(CALL / 2)
            tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    with structlog.testing.capture_logs() as logs:
        asyncio.run(all_ask())
    places = range(2 if cancelled else 3)
    assert [round(u.waited / CALL) for u in used] == [*places]
    assert all(CALL <= u.seconds < 2 * CALL for u in used), used
    told = [entry for entry in logs if entry["event"] == "model_answered"]
    assert [round(entry["waited"] / CALL) for entry in told] == [*places]
    assert all(CALL <= entry["seconds"] < 2 * CALL for entry in told), told


def test_the_wait_for_a_server_that_was_away_is_no_time_of_the_call() -> None:
    used: list[CallUsage] = []
    client = StructuredOutputClient(Away(), signature="openai:x", policy=RetryPolicy(first_pause=CALL))
    asyncio.run(Metered(client, a_role(used)).create([UserMessage(content="?", source="Lab")]))
    (one,) = used
    assert one.waited >= 0.9 * CALL and CALL <= one.seconds < 2 * CALL


class Away(SlowServer):
    """Cannot be reached at first."""

    async def create(self, *arguments: Any, **named: Any) -> CreateResult:
        """One answer, after one failure."""
        if not self.most:
            self.most = 1
            raise ConnectionError("connection refused")
        return await super().create(*arguments, **named)


def a_role(used: list[CallUsage]) -> RoleContext:
    async def before() -> None: ...

    return RoleContext(
        member=MEMBERS[0],
        number=1,
        task=opening().context.task,
        stage=lambda: "hypothesis",
        before=before,
        after=used.append,
        failed=lambda error: None,
    )


@pytest.mark.parametrize("ways", [({}, {"temperature": 0.9}, {"reply_tokens": 64, "effort": "low"})])
def test_roles_that_ask_one_file_in_different_ways_share_its_process_and_its_turns(ways: Any, tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    file, link, other = tmp_path / "a.gguf", tmp_path / "link.gguf", tmp_path / "b.gguf"
    for path in (file, other):
        path.write_bytes(b"GGUF")
    link.symlink_to(file)

    async def opened() -> None:
        clients = [open_model(f"local:{file}", ModelOptions(**way)) for way in ways]
        clients.append(open_model(f"local:{link}"))
        servers = {id(c.inner._server): c.inner._server for c in clients}  # type: ignore[attr-defined]
        (server,) = servers.values()
        assert {id(c._turns) for c in clients} == {id(server.turns)}  # type: ignore[attr-defined]
        for apart in (ModelOptions(context_tokens=2_048), None):
            one = open_model(f"local:{file if apart else other}", apart)
            assert one.inner._server is not server  # type: ignore[attr-defined]
            await one.close()
        for number, client in enumerate(clients):
            assert server.users == len(clients) - number
            await client.close()
            await client.close()  # who closes twice closes for itself alone
        assert server.users == 0

    asyncio.run(opened())


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

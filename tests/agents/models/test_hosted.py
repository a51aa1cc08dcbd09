"""Hosted models over real HTTP on loopback."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from autogen_core.models import LLMMessage, SystemMessage, UserMessage

from move37.agents.errors import BadModel, ModelReplyInvalid
from move37.agents.models import REPLY_TOKENS, ModelOptions, open_model, options_for, signature
from move37.agents.models.repair import RetryPolicy, StructuredOutputClient
from move37.agents.replies import Critique
from tests.agents.models.server import MODEL, answering, small_model

ASKED: list[LLMMessage] = [SystemMessage(content="You judge."), UserMessage(content="A longer memory?", source="Lab")]
GOOD = json.dumps({"accept": False, "ground": "novelty", "reason": "it was tried before"})


def opened(base_url: str, uri: str = "openai:tiny", **options: Any) -> StructuredOutputClient:
    client = open_model(uri, ModelOptions(base_url=base_url, **options))
    assert isinstance(client, StructuredOutputClient)
    client._policy = RetryPolicy(replies=1, hiccups=1, first_pause=0.01, outage_seconds=0.0)
    return client


async def test_a_compatible_endpoint_on_loopback_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a secret of another service")
    with answering((200, GOOD)) as (url, requests):
        client = opened(url, seed=5)
        result = await client.create(ASKED, json_output=Critique)
        await client.close()
    assert Critique.model_validate_json(str(result.content)).ground == "novelty"
    assert (result.usage.prompt_tokens, result.usage.completion_tokens) == (7, 3)
    assert requests[0]["response_format"]["json_schema"]["schema"]["title"] == "Critique"
    assert requests[0]["seed"] == 5
    assert "secret" not in json.dumps(requests[0]["headers"])
    assert signature(client) == "openai:tiny"


async def test_anthropic_speaks_its_own_protocol() -> None:
    body = {
        "id": "1",
        "type": "message",
        "role": "assistant",
        "model": "tiny",
        "content": [{"type": "text", "text": f"```json\n{GOOD}\n```"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 11, "output_tokens": 4},
    }
    with answering((200, body)) as (url, requests):
        client = opened(url.removesuffix("/v1"), "anthropic:tiny")
        result = await client.create(ASKED, json_output=Critique)
        await client.close()
    assert Critique.model_validate_json(str(result.content)).ground == "novelty"
    assert requests[0]["path"] == "/v1/messages" and '"ground"' in requests[0]["system"][0]["text"]
    assert result.usage.prompt_tokens == 11


async def test_ollama_speaks_its_own_protocol() -> None:
    body = {
        "model": "tiny",
        "created_at": "2026-01-01T00:00:00Z",
        "message": {"role": "assistant", "content": GOOD},
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 9,
        "eval_count": 2,
    }
    with answering((200, body)) as (url, requests):
        client = opened(url.removesuffix("/v1"), "ollama:tiny")
        result = await client.create(ASKED, json_output=Critique)
    assert Critique.model_validate_json(str(result.content)).ground == "novelty"
    assert requests[0]["path"] == "/api/chat" and requests[0]["format"]["title"] == "Critique"
    assert requests[0]["options"]["num_predict"] == REPLY_TOKENS  # an endless reply would hold the campaign


KNOBS: dict[str, Any] = {"temperature": 0.25, "effort": "low", "reply_tokens": 77}


@pytest.mark.parametrize("uri", ["openai:tiny", "anthropic:tiny"])
async def test_temperature_effort_and_the_reply_limit_reach_the_endpoint(uri: str) -> None:
    with answering((400, {"error": {"message": "enough seen"}})) as (url, requests):
        client = opened(url.removesuffix("/v1") if uri.startswith("anthropic") else url, uri, **KNOBS)
        with pytest.raises(ModelReplyInvalid):
            await client.create(ASKED, json_output=Critique)
        await client.close()
    first = requests[0]
    assert first["temperature"] == 0.25 and first["max_tokens"] == 77
    assert first.get("reasoning_effort") == "low" or first["output_config"] == {"effort": "low"}


def test_a_key_goes_to_its_own_provider_alone() -> None:
    keys = {"OPENAI_API_KEY": "o", "ANTHROPIC_API_KEY": "a", "OLLAMA_HOST": "http://10.0.0.2:11434"}
    nothing = ModelOptions()
    assert options_for("openai:x", nothing, keys).key == "o"
    assert options_for("anthropic:x", nothing, keys).key == "a"
    assert options_for("ollama:x", nothing, keys) == ModelOptions(base_url="http://10.0.0.2:11434")
    assert options_for("openai:x", ModelOptions(base_url="http://127.0.0.1:1/v1"), keys).key is None
    assert options_for("openai:x", ModelOptions(base_url="http://127.0.0.1:1/v1", key="own"), keys).key == "own"


@pytest.mark.parametrize("uri", ["openai:gpt-4o", "anthropic:claude-sonnet-4"])
def test_a_missing_key_is_said_before_the_run(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(BadModel, match="_API_KEY"):
        open_model(uri)


def test_a_base_url_that_is_no_address_is_said() -> None:
    with pytest.raises(BadModel, match="--base-url"):
        open_model("openai:x", ModelOptions(base_url="localhost:8080"))


@pytest.mark.llm
@pytest.mark.slow
async def test_a_real_small_model_gives_a_valid_reply_or_fails_as_ours() -> None:
    with small_model() as url:
        client = open_model(f"openai:{MODEL}", ModelOptions(base_url=url))
        with contextlib.suppress(ModelReplyInvalid):  # cut off at its token limit, more than once
            result = await client.create(ASKED, json_output=Critique)
            assert Critique.model_validate_json(str(result.content)).reason
        assert client.total_usage().completion_tokens > 0
        await client.close()


@pytest.mark.parametrize("uri", ["openai:tiny", "anthropic:tiny", "ollama:tiny"])
async def test_a_server_on_this_machine_is_reached_past_a_proxy_and_read_in_another_provider_s_shape(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    odd = {"candidates": [{"content": {"parts": [{"text": GOOD}]}, "finishReason": "STOP"}]}
    with answering((200, odd)) as (url, requests):
        client = opened(url if uri.startswith("openai") else url.removesuffix("/v1"), uri)
        result = await client.create(ASKED, json_output=Critique)
        await client.close()
    assert Critique.model_validate_json(str(result.content)).ground == "novelty"
    assert len(requests) == 1 and (result.usage.prompt_tokens, result.usage.completion_tokens) == (0, 0)


@pytest.mark.parametrize("proxy", ["socks9://127.0.0.1:9", "http://[::1"])
def test_a_proxy_that_cannot_be_used_is_one_sentence(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(BadModel) as caught:
        open_model("openai:tiny", ModelOptions(base_url="https://models.example.org/v1", key="k"))
    assert "openai:tiny cannot be opened" in str(caught.value) and "\n" not in str(caught.value)

"""anthropic:NAME, Anthropic's models over its messages API."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from move37.agents.models.provider import (
    CONNECT_SECONDS,
    ModelOptions,
    Provider,
    check_address,
    info,
    is_loopback,
    key_for,
    no_key,
)
from move37.agents.models.window import window_in

if TYPE_CHECKING:
    from autogen_core.models import ChatCompletionClient

KEY = "ANTHROPIC_API_KEY"


def _open(name: str, options: ModelOptions) -> ChatCompletionClient:
    check_address(options.base_url)
    from anthropic import Anthropic, DefaultAsyncHttpxClient, Timeout
    from autogen_ext.models.anthropic import AnthropicChatCompletionClient

    from move37.agents.models.wire import Endpoint

    key = key_for(options)
    found = Anthropic(api_key=key)
    if not found.api_key and not found.auth_token:  # else it would only be missed in the first call
        raise no_key("anthropic", name, KEY)
    timeout = Timeout(options.reply_seconds, connect=CONNECT_SECONDS)
    wanted: dict[str, Any] = {"model": name, "timeout": timeout, "max_retries": 0}
    if key is not None:
        wanted["api_key"] = key
    if options.base_url is not None:
        wanted["base_url"] = options.base_url
    if options.temperature is not None:
        wanted["temperature"] = options.temperature
    client: Any = AnthropicChatCompletionClient(
        **wanted, max_tokens=options.reply_tokens, model_info=info(structured=False, json=False)
    )
    if options.base_url is not None and is_loopback(options.base_url):  # no proxy of the environment leads here
        direct = {f"all://{urlsplit(options.base_url).hostname}": None}  # the SDK asks the environment by itself
        client._client = client._client.with_options(http_client=DefaultAsyncHttpxClient(mounts=direct))
    _adapt_to_sdk(client, options)
    Endpoint().connect(client._client._client)
    opened: ChatCompletionClient = client
    return opened


def _adapt_to_sdk(client: Any, options: ModelOptions) -> None:
    """What autogen-ext 0.7.5 does not know of the newer SDK and API.

    It always passes a temperature, which the SDK 2 no longer takes: it goes into the body, if wanted. The reasoning
    effort has no argument in it at all. The system's words are marked as the end of what is worth caching.
    """
    messages = client._client.messages
    create = messages.create
    takes_temperature = "temperature" in inspect.signature(create).parameters

    def adapted(**arguments: Any) -> Any:
        body = dict(arguments.pop("extra_body", None) or {})
        if not takes_temperature:
            arguments.pop("temperature", None)
            if options.temperature is not None:
                body["temperature"] = options.temperature
        if options.effort not in (None, "none"):
            body["output_config"] = {"effort": "low" if options.effort == "minimal" else options.effort}
        if isinstance(system := arguments.get("system"), str) and system:
            arguments["system"] = [{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}]
        return create(**arguments, extra_body=body or None)

    messages.create = adapted


async def _window(client: Any, name: str) -> int | None:
    """As AutoGen's table has it, where it has this very name; else as the list of models says."""
    from autogen_ext.models.anthropic import _model_info

    known = _model_info._MODEL_TOKEN_LIMITS.get(name)
    return known or window_in(await client._client.get("/v1/models?limit=1000", cast_to=object), name)


PROVIDER = Provider(name="anthropic", open=_open, key_variable=KEY, window=_window)

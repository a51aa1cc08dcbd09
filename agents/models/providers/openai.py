"""openai:NAME, OpenAI's own models and every endpoint that speaks its chat completions (`--base-url`)."""

from __future__ import annotations

import warnings
from dataclasses import replace
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
    sampling,
)
from move37.agents.models.window import window_in

if TYPE_CHECKING:
    from autogen_core.models import ChatCompletionClient

KEY = "OPENAI_API_KEY"


def _open(name: str, options: ModelOptions) -> ChatCompletionClient:
    check_address(options.base_url)
    from autogen_ext.models.openai import OpenAIChatCompletionClient
    from openai import DefaultAsyncHttpxClient, OpenAIError, Timeout

    from move37.agents.models.capabilities import Capabilities
    from move37.agents.models.wire import Endpoint

    wanted: dict[str, Any] = {
        "model": name,
        "timeout": Timeout(options.reply_seconds, connect=CONNECT_SECONDS),
        "max_retries": 0,  # repair.py does that
        "max_tokens": options.reply_tokens,
        "include_name_in_message": False,  # speakers stand in the text, which no server drops
        **sampling(options),
    }
    if (key := key_for(options)) is not None:
        wanted["api_key"] = key
    if options.effort is not None:
        wanted["reasoning_effort"] = options.effort
    if options.base_url is not None:
        wanted["base_url"] = options.base_url
        if is_loopback(options.base_url):  # no proxy of the environment leads to this machine
            wanted["http_client"] = DefaultAsyncHttpxClient(trust_env=False)
        # A server of one's own may call its model by a file's path.
        warnings.filterwarnings("ignore", message="Resolved model mismatch", category=UserWarning)
    if options.base_url is not None or not _known(name):
        wanted["model_info"] = info()
    try:
        client: Any = OpenAIChatCompletionClient(**wanted)
    except OpenAIError:
        raise no_key("openai", name, KEY) from None
    # OpenAI's own newer models call it so, and its older ones take it too.
    able = Capabilities(limit="max_completion_tokens") if options.base_url is None else Capabilities()
    Endpoint(able).connect(client._client._client)
    opened: ChatCompletionClient = client
    return opened


def compatible(name: str, address: str, options: ModelOptions) -> ChatCompletionClient:
    """A client of a server of our own at `address`."""
    return _open(name, replace(options, base_url=address, key="none"))


def _known(name: str) -> bool:
    from autogen_ext.models.openai import _model_info

    try:
        _model_info.get_info(name)
    except (KeyError, ValueError):
        return False
    return True


async def _window(client: Any, name: str) -> int | None:
    """As AutoGen's table has it for OpenAI's own, whose list does not say; as the list says for everybody else's."""
    from autogen_ext.models.openai import _model_info

    if urlsplit(str(client._client.base_url)).hostname == "api.openai.com":
        return _model_info.get_token_limit(name) if _known(name) else None
    return window_in(await client._client.get("/models", cast_to=object), name)


PROVIDER = Provider(name="openai", open=_open, key_variable=KEY, window=_window)

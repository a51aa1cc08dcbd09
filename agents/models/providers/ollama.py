"""ollama:NAME, an Ollama server: at `--base-url`, at OLLAMA_HOST, or on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from move37.agents.models.provider import (
    SMALL_CONTEXT_TOKENS,
    ModelOptions,
    Provider,
    check_address,
    info,
    is_loopback,
    sampling,
)
from move37.agents.models.window import window_in

if TYPE_CHECKING:
    from autogen_core.models import ChatCompletionClient


def _open(name: str, options: ModelOptions) -> ChatCompletionClient:
    check_address(options.base_url)
    from autogen_ext.models.ollama import OllamaChatCompletionClient
    from ollama import AsyncClient

    from move37.agents.models.wire import Endpoint

    wanted: dict[str, Any] = {"model": name, "model_info": info(), "timeout": options.reply_seconds}
    if options.base_url is not None:
        wanted["host"] = options.base_url
    wanted["options"] = {**sampling(options), "num_predict": options.reply_tokens}
    client: Any = OllamaChatCompletionClient(**wanted)
    if options.base_url is None or is_loopback(options.base_url):  # no proxy of the environment leads to this machine
        client._client = AsyncClient(host=options.base_url, trust_env=False)
    Endpoint().connect(client._client._client)
    opened: ChatCompletionClient = client
    return opened


async def _window(client: Any, name: str) -> int | None:
    """That of the running model: a server gives it less than it was made for, and cuts what is longer."""
    return window_in([model.model_dump() for model in (await client._client.ps()).models], name)


PROVIDER = Provider(
    name="ollama",
    open=_open,
    address_variable="OLLAMA_HOST",
    local=True,
    window=_window,
    context_tokens=SMALL_CONTEXT_TOKENS,
)

"""Clients of model servers: thin makers around autogen-ext, with a `ModelInfo` for models that it does not know.

    openai:NAME      OPENAI_API_KEY, or any compatible endpoint with --base-url (loopback needs no key)
    anthropic:NAME   ANTHROPIC_API_KEY
    ollama:NAME      the Ollama server at --base-url, else on this machine

The SDKs' own retries are off: models/repair does them. A key that is not given is looked for by the SDK itself, in the
variable named above; a loopback endpoint is never sent one. `make` may take a second: it imports an SDK.
"""

from __future__ import annotations

import inspect
import warnings
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from autogen_core.models import ChatCompletionClient, ModelFamily, ModelInfo

from move37.agents.errors import BadModel

KEY_VARIABLES = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyLimits:
    """What one call may take."""

    tokens: int
    seconds: float


def make(
    provider: str,
    name: str,
    *,
    base_url: str | None,
    api_key: str | None,
    sampling: dict[str, Any],
    limits: ReplyLimits,
) -> ChatCompletionClient:
    """The client of `name` at `provider`. Raises `BadModel`: a key is missing, or the address is none."""
    if base_url is not None and urlsplit(base_url).scheme not in ("http", "https"):
        raise BadModel(f"--base-url {base_url} is no http(s) address: write it like http://127.0.0.1:8080/v1")
    if provider == "ollama":
        return _ollama(name, base_url, sampling, limits)
    if api_key is None and base_url is not None and is_loopback(base_url):
        api_key = "none"
    client = _openai(name, base_url, api_key, sampling, limits) if provider == "openai" else None
    client = client or (_anthropic(name, base_url, api_key, sampling, limits) if provider == "anthropic" else None)
    if client is None:
        raise BadModel(
            f"{provider}:{name} needs a key: set {KEY_VARIABLES[provider]}, or use --model designer, which needs none"
        )
    return client


def is_loopback(url: str) -> bool:
    """Whether `url` is on this machine."""
    host = (urlsplit(url).hostname or "").lower()
    return host in ("localhost", "::1") or host.startswith("127.")


def _openai(
    name: str, base_url: str | None, key: str | None, sampling: dict[str, Any], limits: ReplyLimits
) -> ChatCompletionClient | None:
    """None: there is no key."""
    from autogen_ext.models.openai import OpenAIChatCompletionClient
    from openai import OpenAIError

    options: dict[str, Any] = {"model": name, "timeout": limits.seconds, "max_retries": 0, **sampling}
    if key is not None:
        options["api_key"] = key
    if base_url is not None:
        options |= {"base_url": base_url, "max_tokens": limits.tokens}
        # A server of one's own may call its model by a file's path.
        warnings.filterwarnings("ignore", message="Resolved model mismatch", category=UserWarning)
    if base_url is not None or not _known_to_openai(name):
        options["model_info"] = _info()
    try:
        client: ChatCompletionClient = OpenAIChatCompletionClient(**options)
    except OpenAIError:
        return None
    return client


def _known_to_openai(name: str) -> bool:
    from autogen_ext.models.openai import _model_info

    try:
        _model_info.get_info(name)
    except (KeyError, ValueError):
        return False
    return True


def _anthropic(
    name: str, base_url: str | None, key: str | None, sampling: dict[str, Any], limits: ReplyLimits
) -> ChatCompletionClient | None:
    """None: there is no key."""
    from anthropic import Anthropic
    from autogen_ext.models.anthropic import AnthropicChatCompletionClient

    found = Anthropic(api_key=key)
    if not found.api_key and not found.auth_token:  # else it would only be missed in the first call
        return None
    kept = {k: v for k, v in sampling.items() if k == "temperature"}  # their API has no seed
    options: dict[str, Any] = {"model": name, "timeout": limits.seconds, "max_retries": 0, **kept}
    if key is not None:
        options["api_key"] = key
    if base_url is not None:
        options["base_url"] = base_url
    client: ChatCompletionClient = AnthropicChatCompletionClient(
        **options, max_tokens=limits.tokens, model_info=_info(structured=False, json=False)
    )
    _mind_temperature(client, asked="temperature" in kept)
    return client


def _mind_temperature(client: Any, *, asked: bool) -> None:
    # autogen-ext 0.7.5 always passes a temperature, which the SDK 2 no longer takes: it goes into the body, if wanted.
    messages = client._client.messages
    create = messages.create
    if "temperature" in inspect.signature(create).parameters:
        return

    def without(*, temperature: float, **arguments: Any) -> Any:
        body = {"temperature": temperature} if asked else None
        return create(**arguments, extra_body=body)

    messages.create = without


def _ollama(name: str, base_url: str | None, sampling: dict[str, Any], limits: ReplyLimits) -> ChatCompletionClient:
    from autogen_ext.models.ollama import OllamaChatCompletionClient

    options: dict[str, Any] = {"model": name, "model_info": _info(), "timeout": limits.seconds}
    if base_url is not None:
        options["host"] = base_url
    options["options"] = {**sampling, "num_predict": limits.tokens}
    client: ChatCompletionClient = OllamaChatCompletionClient(**options)
    return client


def _info(*, structured: bool = True, json: bool = True) -> ModelInfo:
    return ModelInfo(
        vision=False,
        function_calling=False,
        json_output=json,
        family=ModelFamily.UNKNOWN,
        structured_output=structured,
        multiple_system_messages=False,
    )

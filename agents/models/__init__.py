"""Models by name: a URI -> an AutoGen `ChatCompletionClient`. Everything heavy is imported when a model is opened.

    designer         the embedded evolutionary search over a grammar of mixers: no language model, no key, no network
    openai:NAME      OpenAI, or any compatible endpoint with a base URL
    anthropic:NAME   Anthropic
    ollama:NAME      an Ollama server
    replay:FILE      the recorded replies of an earlier run (models/replay)

To add one: a file here and a line in `open_model`. Not there yet: `local:` (a model server in a process of ours).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from move37.agents.errors import BadModel

if TYPE_CHECKING:
    from autogen_core.models import ChatCompletionClient

HOSTED = ("openai", "anthropic", "ollama")
KNOWN = "designer, openai:NAME, anthropic:NAME, ollama:NAME, replay:FILE"

REPLY_TOKENS = 8_192  # room for a whole file; small models run on for ever without an end
REPLY_SECONDS = 300.0

__all__ = [
    "HOSTED",
    "KNOWN",
    "REPLY_SECONDS",
    "REPLY_TOKENS",
    "ModelName",
    "open_model",
    "operators_of",
    "parse",
    "signature",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelName:
    """A model URI, taken apart."""

    provider: str  # designer, openai, anthropic, ollama, replay
    name: str = ""  # of the model, or the path of a recording

    def __str__(self) -> str:
        return f"{self.provider}:{self.name}" if self.name else self.provider


def parse(uri: str) -> ModelName:
    """Take `uri` apart. Raises `BadModel`. Cheap: for checking a command line."""
    provider, _, name = uri.strip().partition(":")
    if provider == "designer" and not name:
        return ModelName(provider="designer")
    if provider == "local":
        raise BadModel("local: models are not built in yet: serve yours and use openai:NAME with --base-url")
    if provider in (*HOSTED, "replay"):
        if name:
            return ModelName(provider=provider, name=name)
        raise BadModel(f"{provider}: needs a name after the colon; models are {KNOWN}")
    raise BadModel(f"unknown model {uri!r}: use one of {KNOWN}")


def open_model(
    uri: str,
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    seed: int = 0,
    sample: int = 0,
    temperature: float | None = None,
    retries: int = 2,
    reply_tokens: int = REPLY_TOKENS,
    reply_seconds: float = REPLY_SECONDS,
) -> ChatCompletionClient:
    """The client that `uri` names; replies with a form (`json_output`) are valid, or an `AgentError` is raised.

    `seed` and `sample` reach endpoints that take a seed; `temperature` None leaves the endpoint's own. `retries`:
    further attempts after an invalid reply; `reply_tokens` and `reply_seconds` bound one call (OpenAI's own endpoint
    bounds the tokens itself). The client may be shared by all roles and experiments. Raises `BadModel`.
    """
    model = parse(uri)
    if model.provider == "designer":
        from move37.agents.models.designer.client import Designer

        return Designer()
    if model.provider == "replay":
        from move37.agents.models.replay import Replay

        return Replay.open(Path(model.name))
    from move37.agents.models import hosted
    from move37.agents.models.repair import RetryPolicy, StructuredOutputClient

    sampling: dict[str, Any] = {"seed": seed + sample}
    if temperature is not None:
        sampling["temperature"] = temperature
    limits = hosted.ReplyLimits(tokens=reply_tokens, seconds=reply_seconds)
    inner = hosted.make(
        model.provider, model.name, base_url=base_url, api_key=api_key, sampling=sampling, limits=limits
    )
    return StructuredOutputClient(inner, signature=str(model), patience=RetryPolicy(replies=retries))


def signature(client: ChatCompletionClient) -> str:
    """Who signs for what `client` answers, e.g. "openai:gpt-x"; the designer signs as a search."""
    return str(getattr(client, "signature", type(client).__name__))


def operators_of(source: str) -> tuple[str, ...]:
    """Operators of the grammar (memory/cognition/operators.txt) that a candidate's source uses. Imports no torch."""
    from move37.agents.models.designer.emit import operators_of as read

    return read(source)

"""Models by name: a URI -> an AutoGen `ChatCompletionClient`. Everything heavy is imported when a model is opened.

    designer         the embedded evolutionary search over a grammar of mixers: no language model, no key, no network
    openai:NAME      OpenAI, or any compatible endpoint with a base URL
    anthropic:NAME   Anthropic
    ollama:NAME      an Ollama server
    local:NAME       llama.cpp in a process of ours: a model that a package carries, or a GGUF file (models/local)
    seat             an external agent: a user or a program (`move37 answer`), a coding agent (`move37 mcp`)
    hybrid:URI       that model proposes plans of the grammar, the search does the rest (assignment.py)
    replay:FILE      the recorded replies of an earlier run (models/replay)

To add one: a file in providers/ and its line there. Which role has which model: assignment.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from move37.agents.errors import AgentError, BadModel
from move37.agents.models.assignment import HYBRID, SEARCH, Assignment, assigned
from move37.agents.models.provider import REPLY_TOKENS, ModelOptions, Provider, is_loopback, reply_seconds
from move37.agents.models.providers import PROVIDERS

if TYPE_CHECKING:
    from autogen_core.models import ChatCompletionClient

SEAT = "seat"  # an external agent answers (agents/external)
LONGEST_NAME = 500  # characters of a model's name
LONGEST_SHOWN = 100  # of a wrong one

__all__ = [
    "REPLY_TOKENS",
    "SEARCH",
    "SEAT",
    "Assignment",
    "ModelName",
    "ModelOptions",
    "assigned",
    "is_language_model",
    "known",
    "open_model",
    "options_for",
    "parse",
    "provider_of",
    "roles_of_models",
    "signature",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelName:
    """A model URI, taken apart."""

    provider: str  # designer, or the name of a provider
    name: str = ""  # of the model, or the path of a recording

    def __str__(self) -> str:
        return f"{self.provider}:{self.name}" if self.name else self.provider


def known() -> str:
    """The forms of a URI, for messages."""
    return ", ".join([SEARCH, SEAT, f"{HYBRID}URI", *(f"{p.name}:{p.form}" for p in PROVIDERS)])


def parse(uri: str) -> ModelName:
    """Take `uri` apart. Raises `BadModel`. Cheap: for checking a command line."""
    provider, colon, name = uri.strip().partition(":")
    if provider in (SEARCH, SEAT):
        if not colon:
            return ModelName(provider=provider)
        raise BadModel(f"{provider} takes no name: write {provider}")
    found = next((p for p in PROVIDERS if p.name == provider), None)
    if found is None:
        raise BadModel(f"unknown model {_shown(uri)!r}: use one of {known()}")
    if not name.strip():
        raise BadModel(f"{provider}: needs a name after the colon; models are {known()}")
    if why := "" if found.names_files else _no_name(name):
        raise BadModel(f"{provider}: there is no model {_shown(name)!r}: {why}")
    return ModelName(provider=provider, name=name)


def _no_name(name: str) -> str:
    """What is wrong with the name of a model that is no file; "" where nothing is."""
    if len(name) > LONGEST_NAME:
        return f"a name has at most {LONGEST_NAME} characters"
    if not name.isprintable():
        return "a name has no line ends, and no signs that cannot be printed"
    if name.endswith(",") or re.search(rf",({'|'.join([SEARCH, SEAT, *(f'{p.name}:' for p in PROVIDERS)])})", name):
        return "one role has one model: write researcher=openai:NAME,default=designer to name several"
    return ""


def _shown(text: str) -> str:
    """The beginning of what somebody wrote, as much as a message needs."""
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def provider_of(uri: str) -> Provider | None:
    """The provider of a URI; None for the search and an external agent. Raises `BadModel`."""
    name = parse(uri).provider
    return next((p for p in PROVIDERS if p.name == name), None)


def roles_of_models(model: str) -> tuple[str, ...]:
    """The roles that `--model` gives to a language model or a recording of one. Raises `BadModel`."""
    return tuple(role for role, uri in assigned(model).models.items() if provider_of(uri) is not None)


def is_language_model(uri: str) -> bool:
    """Whether what answers may be asked anything: neither the search, nor a recording, nor an external agent."""
    return parse(uri).provider not in (SEARCH, SEAT, "replay")


def options_for(uri: str, options: ModelOptions, variables: Mapping[str, str]) -> ModelOptions:
    """The options with the provider's own key and address from `variables`, where the user gave none.

    A server on this machine is not sent a key that was meant for the provider's own.
    """
    provider = provider_of(uri)
    if provider is None:
        return options
    address = options.base_url or variables.get(provider.address_variable)
    key = options.key
    if key is None and not (address and is_loopback(address)):
        key = variables.get(provider.key_variable)
    return replace(options, base_url=address, key=key)


def open_model(
    uri: str, options: ModelOptions | None = None, *, on_wait: Callable[[str], None] | None = None
) -> ChatCompletionClient:
    """The client that `uri` names; replies with a form (`json_output`) are valid, or an `AgentError` is raised.

    `on_wait` is called with a sentence when an outage begins and ends. The client may be shared by all roles and
    experiments that ask with the same options. Raises `BadModel`.
    """
    wanted, model, provider = options or ModelOptions(), parse(uri), provider_of(uri)
    if provider is None:
        raise BadModel("designer is a search and has no model client: agents/scientists.py opens it")
    seconds = reply_seconds(provider, wanted)
    wanted = replace(wanted, reply_seconds=seconds)
    try:
        inner = provider.open(model.name, wanted)
    except AgentError:
        raise
    except Exception as error:  # of an SDK: an address, a key or a proxy of the environment that it cannot use
        said = " ".join(str(error).split())[:300] or type(error).__name__
        raise BadModel(f"{_shown(str(model))} cannot be opened: {said}") from error
    if provider.name == "replay":
        return inner
    from move37.agents.models.repair import RetryPolicy, StructuredOutputClient

    policy = RetryPolicy(replies=wanted.retries, call_seconds=seconds, at_once=provider.at_once)
    asks = partial(provider.window, inner, model.name) if provider.window is not None else None
    turns = getattr(inner, "turns", None)  # of a server that this client does not have to itself
    client = StructuredOutputClient(inner, signature=str(model), policy=policy, ask_window=asks, turns=turns)
    if on_wait is not None:
        client.on_wait = on_wait
    return client


def signature(client: ChatCompletionClient) -> str:
    """Who signs for what `client` answers, e.g. "openai:gpt-x"; the designer signs as a search."""
    return str(getattr(client, "signature", type(client).__name__))

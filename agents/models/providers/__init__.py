"""The providers that a model's name may begin with. To add one: a file here, and its line below."""

from __future__ import annotations

from move37.agents.models.provider import Provider
from move37.agents.models.providers import anthropic, local, ollama, openai, replay

PROVIDERS: tuple[Provider, ...] = (
    openai.PROVIDER,
    anthropic.PROVIDER,
    ollama.PROVIDER,
    local.PROVIDER,
    replay.PROVIDER,
)

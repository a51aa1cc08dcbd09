"""What tokens cost: a small table of list prices with their date, and the user's own. Pure.

US dollars per million tokens; providers change them. A user writes their own into move37.toml, which come first:

    [prices."openai:gpt-x"]
    prompt = 1.25
    completion = 10.0
    cached = 0.125        # prompt tokens that the provider had cached; left out: as the others

A model that stands in neither has no price: None, and --max-cost cannot be kept for it, which the caller has to say.
What runs on this machine costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from move37.agents.models import SEARCH, SEAT
from move37.agents.models.provider import is_loopback
from move37.agents.models.providers import PROVIDERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars per million tokens."""

    prompt: float
    completion: float
    cached: float | None = None  # of the prompt; None: as the others


FREE = Price(prompt=0.0, completion=0.0)
PRICES: Mapping[str, Price] = {
    "openai:gpt-5": Price(prompt=1.25, completion=10.0, cached=0.125),
    "openai:gpt-5-mini": Price(prompt=0.25, completion=2.0, cached=0.025),
    "openai:gpt-5-nano": Price(prompt=0.05, completion=0.4, cached=0.005),
    "openai:gpt-4.1": Price(prompt=2.0, completion=8.0, cached=0.5),
    "openai:gpt-4.1-mini": Price(prompt=0.4, completion=1.6, cached=0.1),
    "openai:gpt-4.1-nano": Price(prompt=0.1, completion=0.4, cached=0.025),
    "openai:gpt-4o": Price(prompt=2.5, completion=10.0, cached=1.25),
    "openai:gpt-4o-mini": Price(prompt=0.15, completion=0.6, cached=0.075),
    "openai:o3": Price(prompt=2.0, completion=8.0, cached=0.5),
    "openai:o4-mini": Price(prompt=1.1, completion=4.4, cached=0.275),
    "anthropic:claude-opus-4-1": Price(prompt=15.0, completion=75.0, cached=1.5),
    "anthropic:claude-opus-4": Price(prompt=15.0, completion=75.0, cached=1.5),
    "anthropic:claude-sonnet-4-5": Price(prompt=3.0, completion=15.0, cached=0.3),
    "anthropic:claude-sonnet-4": Price(prompt=3.0, completion=15.0, cached=0.3),
    "anthropic:claude-3-7-sonnet": Price(prompt=3.0, completion=15.0, cached=0.3),
    "anthropic:claude-3-5-haiku": Price(prompt=0.8, completion=4.0, cached=0.08),
}


def price_of(uri: str, *, base_url: str | None = None, own: Mapping[str, Price] | None = None) -> Price | None:
    """The price of the model that `uri` names, the user's own first; None when it is not known.

    A dated name ("openai:gpt-4o-2024-08-06") has its family's price; an endpoint of one's own has none that we know.
    """
    if own and uri in own:
        return own[uri]
    provider = uri.partition(":")[0]
    if provider in (SEARCH, SEAT, *(p.name for p in PROVIDERS if p.local)):
        return FREE
    if base_url is not None:
        return FREE if is_loopback(base_url) else None
    if uri in PRICES:
        return PRICES[uri]
    families = [name for name in PRICES if uri.startswith(f"{name}-") and uri[len(name) + 1 :][:1].isdigit()]
    return PRICES[max(families, key=len)] if families else None


def cost(price: Price, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0) -> float:
    """US dollars; `cached_tokens` are part of `prompt_tokens`."""
    cached = min(cached_tokens, prompt_tokens)
    cached_price = price.prompt if price.cached is None else price.cached
    fresh = (prompt_tokens - cached) * price.prompt
    return (fresh + cached * cached_price + price.completion * completion_tokens) / 1e6

"""What tokens cost: a small table of list prices, for --max-cost. Pure.

US dollars per million tokens, as far as they were known on the date below; providers change them, and discounts (cached
prompts, batches) are left out, so the sum is an upper estimate. A model that is not here has no price: None, and
--max-cost cannot be kept for it, which the caller has to say. What runs on this machine costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

AS_OF = "2025-09"


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars per million tokens."""

    prompt: float
    completion: float


FREE = Price(prompt=0.0, completion=0.0)
PRICES: Mapping[str, Price] = {
    "openai:gpt-5": Price(prompt=1.25, completion=10.0),
    "openai:gpt-5-mini": Price(prompt=0.25, completion=2.0),
    "openai:gpt-5-nano": Price(prompt=0.05, completion=0.4),
    "openai:gpt-4.1": Price(prompt=2.0, completion=8.0),
    "openai:gpt-4.1-mini": Price(prompt=0.4, completion=1.6),
    "openai:gpt-4.1-nano": Price(prompt=0.1, completion=0.4),
    "openai:gpt-4o": Price(prompt=2.5, completion=10.0),
    "openai:gpt-4o-mini": Price(prompt=0.15, completion=0.6),
    "openai:o3": Price(prompt=2.0, completion=8.0),
    "openai:o4-mini": Price(prompt=1.1, completion=4.4),
    "anthropic:claude-opus-4-1": Price(prompt=15.0, completion=75.0),
    "anthropic:claude-opus-4": Price(prompt=15.0, completion=75.0),
    "anthropic:claude-sonnet-4-5": Price(prompt=3.0, completion=15.0),
    "anthropic:claude-sonnet-4": Price(prompt=3.0, completion=15.0),
    "anthropic:claude-3-7-sonnet": Price(prompt=3.0, completion=15.0),
    "anthropic:claude-3-5-haiku": Price(prompt=0.8, completion=4.0),
}


def price_of(uri: str, *, base_url: str | None = None) -> Price | None:
    """The price of the model that `uri` names; None when it is not known.

    A dated name ("openai:gpt-4o-2024-08-06") has its family's price; an endpoint of one's own has none that we know.
    """
    provider = uri.partition(":")[0]
    if provider in ("designer", "replay", "ollama"):
        return FREE
    if base_url is not None:
        from move37.agents.models.hosted import is_loopback

        return FREE if is_loopback(base_url) else None
    if uri in PRICES:
        return PRICES[uri]
    families = [name for name in PRICES if uri.startswith(f"{name}-") and uri[len(name) + 1 :][:1].isdigit()]
    return PRICES[max(families, key=len)] if families else None


def cost(price: Price, prompt_tokens: int, completion_tokens: int) -> float:
    """US dollars."""
    return (price.prompt * prompt_tokens + price.completion * completion_tokens) / 1e6

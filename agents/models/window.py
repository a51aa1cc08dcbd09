"""A model's window: how many tokens it reads and writes in one call, as an endpoint's list of models says; and what a
role's context may take of it. Pure.

Where it is known from: the table of AutoGen (OpenAI's and Anthropic's own models), the list of an endpoint, the process
that we start (`local:`), or a refusal that names it (repair.py). Where nobody says, nothing is assumed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SHARE = 0.5  # for a rendered context, of what the contract leaves of a window; the rest: conversation, tools, reply
LEAST_TOKENS = 1_000  # of a context: with less there is nothing to decide on
MOST_TOKENS = 64_000  # of a context that only a window bounds: whoever wants to pay for more says so
LEAST, MOST = 512, 10**9  # what is taken for a window
# As servers call it; the number that a server runs with may stand beside the one that its model was made for.
_KEYS = (
    *("max_model_len", "loaded_context_length", "context_length", "context_window", "max_context_length"),
    *("max_input_tokens", "input_token_limit", "inputTokenLimit", "n_ctx"),
)


def context_budget(window: int | None, *, contract: int, setting: int | None, default: int) -> int:
    """Tokens of a rendered context: the setting, never more than its share of the window; `default` where neither is
    known. `contract`: tokens of what stands before every context."""
    if window is None:
        return setting or default
    return min(setting or MOST_TOKENS, max(LEAST_TOKENS, int(SHARE * (window - contract))))


def window_in(listed: Any, name: str) -> int | None:
    """The window of a model in an endpoint's list of models; of several numbers the smallest."""
    entry = _entry(listed, name)
    inside = [part for part in entry.values() if isinstance(part, Mapping)]
    found = [number for part in (entry, *inside) for key in _KEYS if (number := _tokens(part.get(key)))]
    return min(found, default=None)


def _entry(listed: Any, name: str) -> Mapping[str, Any]:
    """What a list says of one model; a list of one is taken to be of it, whatever it is called there."""
    if isinstance(listed, Mapping):
        listed = next((listed[key] for key in ("data", "models") if isinstance(listed.get(key), Sequence)), [listed])
    entries = [e for e in listed if isinstance(e, Mapping)] if isinstance(listed, Sequence) else []
    named = [e for e in entries if name in (e.get("id"), e.get("name"), e.get("model"))]
    return next(iter(named or (entries if len(entries) == 1 else [])), {})


def _tokens(value: Any) -> int | None:
    plain = isinstance(value, int | float) and not isinstance(value, bool) and LEAST <= value <= MOST
    return int(value) if plain else None

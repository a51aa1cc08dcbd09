"""What the form of `begin.py` shows at first, and which flags its changes are. No NiceGUI here.

What nobody touched is not sent: the campaign's process reads move37.toml and MOVE37_* itself, and knows how an old
campaign began; a flag would beat both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from move37.app import resuming
from move37.app.campaign_facts import direction_of
from move37.app.exits import BadInput
from move37.app.settings import Settings
from move37.app.units import typed_seconds
from move37.lab.archive.store import Campaign


def of_a_new_one(settings: Settings) -> dict[str, str]:
    """What a campaign would begin with now. Raises `BadInput` for a direction that cannot be read."""
    wanted = settings.campaign
    return {
        "task": wanted.task,
        "model": settings.models.model,
        "base_url": settings.models.base_url or "",
        "brief": direction_of(settings),
        "corpus": str(wanted.corpus or ""),
        "preset": wanted.preset,
        "seed": str(wanted.seed),
        **_limits(wanted.budget, wanted.max_time, wanted.max_tokens, wanted.max_cost),
        "approve": wanted.approve,
        "sandbox": settings.sandbox.backend,
    }


def of_an_old_one(settings: Settings, old: Campaign) -> dict[str, str]:
    """What a campaign would go on with now."""
    brief = old.brief
    return {
        **_limits(brief.budget, brief.max_seconds, brief.max_tokens, brief.max_cost),
        "approve": resuming.watching(settings, old.facts)[0].campaign.approve,
        "sandbox": resuming.sandbox(settings, old.facts)[0],
    }


def changed(values: Mapping[str, Any], shown: Mapping[str, str]) -> dict[str, str]:
    """The flags of what was filled in otherwise. Raises `BadInput` for a field that was emptied: no flag says that."""
    given = {name: str(value or "").strip() for name, value in values.items()}
    for name, text in given.items():
        if shown[name].strip() and not text:
            raise BadInput(f"{name.replace('_', ' ')} is set already and cannot be emptied here: name another value")
    return {name: text for name, text in given.items() if text != shown[name].strip()}


def _limits(budget: int | None, seconds: float | None, tokens: int | None, cost: float | None) -> dict[str, str]:
    return {
        "budget": str(budget or ""),
        "max_time": typed_seconds(seconds) if seconds is not None else "",
        "max_tokens": str(tokens or ""),
        "max_cost": f"{cost:g}" if cost is not None else "",
    }

"""What `move37 resume` may change: limits, budget, model and sandbox. Pure: settings and records in, records out.

A flag that the user gives now replaces what the campaign began with; what they do not give stays, also where it is not
the default. Limits and the budget count all sessions together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from move37.app.campaign_facts import WATCHED
from move37.app.choices import Backend
from move37.app.exits import BadInput
from move37.app.settings import Settings
from move37.app.units import spell_count, spell_seconds
from move37.lab.records import Brief, ExperimentStatus, Role

if TYPE_CHECKING:
    from move37.lab.archive.store import Archive, Campaign


@dataclass(frozen=True, slots=True, kw_only=True)
class SpentSoFar:
    """What a campaign has used, over all its sessions."""

    candidates: int = 0  # begun or ended
    seconds: float = 0.0
    tokens: int = 0
    cost: float = 0.0  # US dollars


def spent_so_far(archive: Archive, campaign: Campaign) -> SpentSoFar:
    """Read it from the archive."""
    mine = [e for e in archive.experiments(campaign.id) if e.role is Role.CANDIDATE]
    tokens, cost = archive.spent(campaign.id)
    ended = sum(e.status is not ExperimentStatus.RUNNING for e in mine)
    return SpentSoFar(candidates=ended, seconds=float(campaign.facts.get("seconds", 0.0)), tokens=tokens, cost=cost)


def revised(brief: Brief, settings: Settings, spent: SpentSoFar) -> Brief:
    """The brief with what the user gives now. Raises `BadInput` where a new limit is already used up."""
    given = _given(settings)
    budget, seconds, tokens, cost = (given.get(n) for n in ("budget", "max_seconds", "max_tokens", "max_cost"))
    if budget is not None and budget < max(spent.candidates, 1):
        raise BadInput(
            f"--budget {budget} is used up: {spent.candidates} candidates were tried, and the budget counts all of "
            f"them; name more, e.g. --budget {spent.candidates + 4}"
        )
    if seconds is not None and seconds <= spent.seconds:
        raise BadInput(f"--max-time counts all sessions, and {spell_seconds(spent.seconds)} are used: name more")
    if tokens is not None and tokens <= spent.tokens:
        raise BadInput(f"--max-tokens counts all sessions, and {spell_count(spent.tokens)} are used: name more")
    if cost is not None and cost <= spent.cost:
        raise BadInput(f"--max-cost counts all sessions, and {spent.cost:.2f} dollars are used: name more")
    return replace(brief, **given)


def _given(settings: Settings) -> dict[str, Any]:
    """What was named on this command line, as fields of the brief. A file's settings were there before, too."""
    wanted = settings.campaign
    fields = {
        "budget": ("budget", wanted.budget),
        "max_time": ("max_seconds", wanted.max_time),
        "max_tokens": ("max_tokens", wanted.max_tokens),
        "max_cost": ("max_cost", wanted.max_cost),
        "model": ("model", settings.models.model),
        "confirm": ("confirm", wanted.confirm),
    }
    return {name: value for flag, (name, value) in fields.items() if flag in settings.flags}


def extends(now: Brief, before: Brief) -> bool:
    """Whether the revised brief gives a finished campaign something to do."""
    more = [(now.max_tokens, before.max_tokens), (now.max_cost, before.max_cost)]
    asks = bool(now.confirm) and not before.confirm
    # Where no time was named the preset's own may have ended it.
    time = now.max_seconds is not None and now.max_seconds > (before.max_seconds or 0.0)
    return asks or time or now.budget > before.budget or any(a and b and a > b for a, b in more)


def changes(now: Brief, before: Brief) -> tuple[str, ...]:
    """A sentence for each thing that is not as it was."""
    said = []
    if now.budget != before.budget:
        said.append(f"The budget is {now.budget} candidates now; it was {before.budget}.")
    if now.model != before.model:
        said.append(f"The model is {now.model} now; it was {before.model}.")
    if now.max_seconds != before.max_seconds and now.max_seconds is not None:
        said.append(f"The time limit is {spell_seconds(now.max_seconds)} now, over all sessions.")
    if now.max_tokens != before.max_tokens and now.max_tokens is not None:
        said.append(f"The limit of tokens is {spell_count(now.max_tokens)} now, over all sessions.")
    if now.max_cost != before.max_cost and now.max_cost is not None:
        said.append(f"The limit of cost is {now.max_cost:.2f} dollars now, over all sessions.")
    return tuple(said)


def with_model(settings: Settings, brief: Brief) -> Settings:
    """Settings whose task, model and limit of cost are the campaign's: what a model must do depends on the task."""
    return replace(
        settings,
        models=settings.models.changed(model=brief.model),
        campaign=settings.campaign.changed(task=brief.task, max_cost=brief.max_cost),
    )


def watching(settings: Settings, facts: Mapping[str, Any]) -> tuple[Settings, str]:
    """Settings that wait, notify and run as many at once as before, unless the user names another; and a sentence."""
    before = {name: facts[name] for name in WATCHED if name in facts and name not in settings.flags}
    kept = replace(settings, campaign=settings.campaign.changed(**before))
    if (mode := before.get("approve", "never")) in ("never", settings.campaign.approve):
        return kept, ""
    return kept, f"It waits for your word as before (--approve {mode}); --approve never lets everything go on."


def sandbox(settings: Settings, facts: Mapping[str, Any]) -> tuple[Backend, str]:
    """The backend to go on with, and a sentence about it: the one it began with, unless the user names another."""
    began: Backend | None = facts.get("sandbox")
    if began is None:
        return settings.sandbox.backend, ""
    if "sandbox" in settings.flags and settings.sandbox.backend not in ("auto", began):
        return settings.sandbox.backend, f"It began in the {began} sandbox and goes on in the one that you named."
    return began, f"It goes on in the {began} sandbox that it began in; --sandbox names another."

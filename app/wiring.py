"""A campaign run or resumed. `outside.py` and `surroundings.py` open what it needs: nobody else names concrete rooms.

Order matters: bad input is found before anything is created, then the sandbox opens and each language model is asked
once, so that neither a missing daemon nor a wrong key leaves a campaign behind; then comes the campaign's row, and only
then torch and the memory. Not here: what is shown (display, chat) and the report.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from move37.app import models, places, resuming
from move37.app.campaign_facts import brief_of, direction_of, facts_of, watched
from move37.app.exits import BadInput
from move37.app.outside import Outside, kind_of_sandbox, open_outside, tell
from move37.app.settings import Settings
from move37.lab.archive.controls import Controls
from move37.lab.archive.store import Archive, Campaign
from move37.lab.tasks.task import SECRET, SECRET_BITS, Schedule, Task

if TYPE_CHECKING:
    from move37.agents.campaign import CampaignResult
    from move37.agents.context import CampaignContext
    from move37.agents.events import OnEvent
    from move37.agents.external.turns import PendingTurns
    from move37.agents.inbox import Inbox

OnReady = Callable[[Campaign, Schedule], None]
OnOpen = Callable[["CampaignContext"], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionResult:
    """A session that ended."""

    campaign: int
    ending: CampaignResult


async def run_campaign(
    settings: Settings,
    *,
    inbox: Inbox,
    on_event: OnEvent,
    on_ready: OnReady | None = None,
    on_open: OnOpen | None = None,
    pending: PendingTurns | None = None,
) -> SessionResult:
    """A new campaign under `settings`. `on_ready` hears its number and schedule once its row is committed.

    `on_open` gets the campaign's surroundings when they are there; turns of a `seat` wait in `pending`, else in files.

    Raises `BadInput`, `BadTask`, `BadCorpus`, `BadModel`, `ModelUnavailable` or a `SandboxError` before anything is
    created; `ArchiveBusy` when another campaign holds the home; later whatever broke, after everything finished is
    stored.
    """
    models.checked(settings)
    direction = direction_of(settings)
    task = places.opened(settings)
    schedule = task.schedule(settings.campaign.preset)
    brief = brief_of(settings, schedule, direction)
    async with AsyncExitStack() as stack:
        outside = await open_outside(settings, brief, {}, stack, on_event, pending)
        with Archive.open(settings.home) as archive:
            facts = {**facts_of(task, schedule, settings), "sandbox": kind_of_sandbox(outside.sandbox)}
            facts[SECRET] = secrets.randbits(SECRET_BITS)
            task = task.drawn(int(str(facts[SECRET])))
            campaign = archive.begin_campaign(brief, facts)
            if on_ready:
                on_ready(campaign, schedule)
            return await _session(settings, archive, campaign, task, outside, inbox, on_event, on_open)


async def resume_campaign(
    settings: Settings,
    *,
    inbox: Inbox,
    on_event: OnEvent,
    campaign: int | None = None,
    on_ready: OnReady | None = None,
    on_open: OnOpen | None = None,
    pending: PendingTurns | None = None,
) -> SessionResult | None:
    """Go on with the home's last campaign (or the one named); None when it has finished and nothing extends it.

    Task, seed and corpus are those it began with; what else of the brief the user names anew (limits, budget, model)
    replaces what it had, and is stored. Raises as `run_campaign`.
    """
    with Archive.open(settings.home, readonly=True) as reading:
        campaigns = reading.campaigns()
        if not campaigns:
            raise BadInput(f"no campaign has run in {settings.home} yet: start one with `move37 run`")
        chosen = next((c for c in campaigns if c.id == campaign), None) if campaign is not None else campaigns[-1]
        if chosen is None:
            raise BadInput(f"no campaign {campaign} in {settings.home}: see `move37 list --all`")
        spent = resuming.spent_so_far(reading, chosen)
    brief = resuming.revised(chosen.brief, settings, spent)
    if chosen.status == "finished" and not resuming.extends(brief, chosen.brief):
        return None
    settings = resuming.with_model(settings, brief)
    models.checked(settings)
    _, task = places.of_campaign(settings, chosen)
    if chosen.facts.get("task_digest", task.digest) != task.digest:
        raise BadInput(
            f"the files of {brief.task} changed since campaign {chosen.id} began, so its numbers would not compare: "
            "put them back, or start a new campaign with `move37 run`"
        )
    task = task.drawn(chosen.facts.get(SECRET))
    settings, asks = resuming.watching(settings, chosen.facts)
    backend, why = resuming.sandbox(settings, chosen.facts)
    settings = replace(settings, sandbox=settings.sandbox.changed(backend=backend))
    async with AsyncExitStack() as stack:
        outside = await open_outside(settings, brief, chosen.facts, stack, on_event, pending)
        with Archive.open(settings.home) as archive:
            facts = {
                "sessions": int(chosen.facts.get("sessions", 0)) + 1,
                "sandbox": kind_of_sandbox(outside.sandbox),
                **watched(settings),
                "base_url": settings.models.base_url or chosen.facts.get("base_url"),
            }
            void = _left_over(settings.home, chosen.id)
            going = archive.update_campaign(chosen.id, status="running", brief=brief, **facts)
            if on_ready:
                on_ready(going, task.schedule(brief.preset))
            for sentence in (*resuming.changes(brief, chosen.brief), why, asks, *void):
                tell(on_event, sentence)
            return await _session(settings, archive, going, task, outside, inbox, on_event, on_open)


def _left_over(home: Path, campaign: int) -> list[str]:
    """Orders to a session that ended before it took them are void: a /stop must not end the next one."""
    with Controls(home) as controls:
        void = controls.void(campaign)
    return [f"{c.user}'s /{c.kind.value} was not carried out: it came after the last session's end." for c in void]


async def _session(
    settings: Settings,
    archive: Archive,
    campaign: Campaign,
    task: Task,
    outside: Outside,
    inbox: Inbox,
    on_event: OnEvent,
    on_open: OnOpen | None = None,
) -> SessionResult:
    from move37.agents import campaign as campaigns
    from move37.app.surroundings import open_context  # torch, AutoGen and the memory: last, see the module

    try:
        async with open_context(settings, archive, campaign, task, inbox, on_event, outside) as context:
            if on_open is not None:
                on_open(context)
            ending = await campaigns.run(context)
    except BaseException:
        archive.update_campaign(campaign.id, status="stopped")
        raise
    return SessionResult(campaign=campaign.id, ending=ending)

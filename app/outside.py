"""What a campaign needs of the world, opened before it exists: models that have answered once, and a sandbox."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from move37.app import models, resuming
from move37.app.settings import Settings
from move37.lab.records import Brief
from move37.sandbox.factory import open_sandbox

if TYPE_CHECKING:
    from move37.agents.events import OnEvent
    from move37.agents.external.turns import PendingTurns
    from move37.app.models import OpenedModels
    from move37.sandbox.sandbox import Sandbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What a campaign needs of the world; opened, and proved to answer, before the campaign exists."""

    models: OpenedModels
    sandbox: Sandbox
    pending: PendingTurns | None = None  # where turns of an external agent wait; None: in files of the home


async def open_outside(
    settings: Settings,
    brief: Brief,
    facts: Mapping[str, object],
    stack: AsyncExitStack,
    on_event: OnEvent,
    pending: PendingTurns | None = None,
) -> Outside:
    """Models and sandbox, closed with the stack. A language model has answered once when this returns."""
    assignment = models.checked(resuming.with_model(settings, brief))
    # A missing key is heard of before a missing daemon: it costs nothing to find.
    opened = await models.opened(
        settings,
        assignment,
        stack,
        seed=brief.seed,
        base_url=str(facts["base_url"]) if facts.get("base_url") else None,
        on_wait=partial(tell, on_event),
    )
    written_by_a_model = any(uri != "designer" for uri in assignment.uris)
    sandbox = await open_sandbox(
        settings.sandbox.backend,
        trusted_source="model" if written_by_a_model else "grammar",
        workers=workers_of(settings),
        docker=settings.sandbox.docker(),
    )
    stack.push_async_callback(sandbox.close)
    return Outside(models=opened, sandbox=sandbox, pending=pending)


def workers_of(settings: Settings) -> int:
    """Experiments that run at once."""
    return settings.campaign.workers or max(1, min(8, os.cpu_count() or 1))


def kind_of_sandbox(sandbox: Sandbox) -> str:
    """The backend, one word."""
    return sandbox.name.split()[0]


def tell(on_event: OnEvent, text: str) -> None:
    """A notice, where there is something to say."""
    from move37.agents.events import Notice

    if text:
        on_event(Notice(text=text))

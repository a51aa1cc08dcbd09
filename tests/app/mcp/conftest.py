"""The campaign behind the tools measures by arithmetic (tests/agents/contexts), in this process."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from move37.agents import campaign as campaigns
from move37.agents.approval import Approvals
from move37.agents.external.scientist import ExternalScientist
from move37.agents.models.assignment import ROLES
from move37.app import wiring
from move37.lab.archive.store import Archive
from move37.lab.records import Brief
from tests.agents.contexts import a_context


@pytest.fixture(autouse=True)
def _arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    """The campaign without a sandbox: everything else is the real thing."""

    async def run(
        settings: Any, *, inbox: Any, on_event: Any, on_ready: Any, on_open: Any, pending: Any, campaign: Any = None
    ) -> Any:
        with Archive.open(settings.home) as archive:
            if not archive.campaigns():
                archive.begin_campaign(Brief(budget=settings.campaign.budget or 3, model="seat"))
            seat = ExternalScientist(
                pending, signature="seat (over MCP)", earlier=lambda ident: archive.experiment(ident).analysis
            )
            outsiders = dict.fromkeys(ROLES, seat)
            workers = settings.campaign.workers or 1
            context, _ = a_context(
                settings.home, archive=archive, inbox=inbox, scientists=outsiders, on_event=on_event, workers=workers
            )
            wanted = settings.campaign
            say = partial(archive.say, context.record.id)
            context.approvals = Approvals(wanted.approve, inbox, on_event, say, timeout=wanted.approval_timeout)
            on_ready(context.record, context.schedule)
            on_open(context)
            try:
                return SimpleNamespace(ending=await campaigns.run(context))
            except BaseException:
                archive.update_campaign(context.record.id, status="stopped")
                raise

    monkeypatch.setattr(wiring, "run_campaign", run)
    monkeypatch.setattr(wiring, "resume_campaign", run)

"""What waits for a word, on the page of somebody else: the browser is simulated, the page's own code is real."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from move37.agents.events import ApprovalClosed, ApprovalRequested
from move37.app.live_log import LiveLog
from move37.lab.archive.controls import ControlKind, Controls
from move37.lab.archive.store import Archive
from tests.app.campaigns import a_whole_campaign
from tests.app.page.conftest import PATIENCE

pytest.importorskip("nicegui")
TOO_LATE = "c1-001 waits no more: ada vetoed it: too dear"


@pytest.fixture(autouse=True)
def _modules_stay() -> Iterator[None]:
    """NiceGUI's simulation takes modules that have pages out of `sys.modules`, and their parents: our package."""
    before = dict(sys.modules)
    yield
    sys.modules.update(before)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveLog]:
    """A campaign that asks two things; its home is held, as by the process that runs it."""
    a_whole_campaign(tmp_path, finished=False)
    with Archive.open(tmp_path), LiveLog(tmp_path, 1) as live:
        for ident in ("c1-001", "c1-002"):
            live(ApprovalRequested(experiment=ident, kind="hypothesis", text=f"a floor for {ident}", seconds=600.0))
        yield live


async def test_who_answers_too_late_is_told_and_what_is_typed_elsewhere_stays(
    tmp_path: Path, live: LiveLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer was lost with the request's card, and with it a reason that was half typed under another request."""
    from nicegui import context, ui
    from nicegui.storage import Storage
    from nicegui.testing import user_simulation
    from nicegui.testing.user_interaction import UserInteraction
    from nicegui.testing.user_notify import UserNotify

    from move37.app.page.hub import Hub
    from move37.app.page.server import routes

    class Told(UserNotify):
        def __call__(self, message: str, **options: Any) -> None:
            assert context.client  # as the real one: a deleted place cannot be told anything
            super().__call__(message, **options)

    monkeypatch.setattr(Storage, "path", tmp_path / "page")
    hub = Hub(tmp_path)
    async with AsyncExitStack() as opened:
        opened.callback(hub.close)
        user = await opened.enter_async_context(user_simulation())
        routes(hub)
        user.notify = Told()
        client = await user.open("/c/1/now")

        def shown(kind: type) -> list[Any]:
            return [e for e in client.elements.values() if type(e) is kind]

        await until(lambda: len(shown(ui.input)) == 2)
        assert sum("Without an answer it goes on in 10 min" in label.text for label in shown(ui.label)) == 2
        typed = shown(ui.input)[1]
        typed.set_value("too close to the")
        UserInteraction(user, {next(b for b in shown(ui.button) if b.text == "Approve")}, None).trigger("click")
        with Controls(tmp_path) as controls:
            await until(lambda: controls.of(1))
            (order,) = controls.take(1)
            assert (order.kind, order.experiment) == (ControlKind.APPROVE, "c1-001")
            live(ApprovalClosed(experiment="c1-001", answer="ada vetoed it: too dear"))
            await until(lambda: len(shown(ui.input)) == 1)
            controls.answer(order.id, TOO_LATE)
        await until(lambda: user.notify.contains(TOO_LATE))
        assert shown(ui.input) == [typed] and typed.value == "too close to the"


async def until(happens: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not happens():
            await asyncio.sleep(0.05)

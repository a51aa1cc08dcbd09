"""Who answers and who speaks at one moment: the browser is simulated, the page's own code is real."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from move37.agents.events import ApprovalClosed, ApprovalRequested
from move37.app.live_log import LiveLog
from move37.lab.archive.controls import ControlKind, Controls
from move37.lab.archive.message import Message, now
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
    with Archive.open(tmp_path) as archive, LiveLog(tmp_path, 1) as live:
        archive.update_campaign(1, status="running")  # it goes on
        for ident in ("c1-001", "c1-002"):
            live(ApprovalRequested(experiment=ident, kind="hypothesis", text=f"a floor for {ident}", seconds=600.0))
        yield live


@asynccontextmanager
async def looking_at(home: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Any, Any]]:
    """A viewer of the page, and what is shown there: a function from a kind of element."""
    from nicegui import context
    from nicegui.storage import Storage
    from nicegui.testing import user_simulation
    from nicegui.testing.user_notify import UserNotify

    from move37.app.page.hub import Hub
    from move37.app.page.server import routes

    class Told(UserNotify):
        def __call__(self, message: str, **options: Any) -> None:
            assert context.client  # as the real one: a deleted place cannot be told anything
            super().__call__(message, **options)

    monkeypatch.setattr(Storage, "path", home / "page")
    hub = Hub(home)
    async with AsyncExitStack() as opened:
        opened.callback(hub.close)
        user = await opened.enter_async_context(user_simulation())
        routes(hub)
        user.notify = Told()
        client = await user.open(path)
        yield user, lambda kind: [e for e in client.elements.values() if type(e) is kind]


def does(user: Any, element: Any, what: str) -> None:
    from nicegui.testing.user_interaction import UserInteraction

    UserInteraction(user, {element}, None).trigger(what)


async def test_who_answers_too_late_is_told_and_what_is_typed_elsewhere_stays(
    tmp_path: Path, live: LiveLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer was lost with the request's card, and with it a reason that was half typed under another request."""
    from nicegui import ui

    async with looking_at(tmp_path, "/c/1/now", monkeypatch) as (user, shown):
        await until(lambda: len(shown(ui.input)) == 2)
        assert sum("Without an answer it goes on in 10 min" in label.text for label in shown(ui.label)) == 2
        typed = shown(ui.input)[1]
        typed.set_value("too close to the")
        does(user, next(b for b in shown(ui.button) if b.text == "Approve"), "click")
        with Controls(tmp_path) as controls:
            await until(lambda: controls.of(1))
            (order,) = controls.take(1)
            assert (order.kind, order.experiment) == (ControlKind.APPROVE, "c1-001")
            live(ApprovalClosed(experiment="c1-001", answer="ada vetoed it: too dear"))
            await until(lambda: len(shown(ui.input)) == 1)
            controls.answer(order.id, TOO_LATE)
        await until(lambda: user.notify.contains(TOO_LATE))
        assert shown(ui.input) == [typed] and typed.value == "too close to the"


async def test_a_line_is_sent_once_and_what_is_typed_before_its_answer_stays(
    tmp_path: Path, live: LiveLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second Return sent the line again, and the answer wiped what had been typed since."""
    from nicegui import ui

    async with looking_at(tmp_path, "/c/1/now", monkeypatch) as (user, shown):
        await until(lambda: shown(ui.textarea))
        (box,) = shown(ui.textarea)
        box.set_value("vary the floor")
        for _ in range(2):
            does(user, box, "keydown.enter")
        with Controls(tmp_path) as controls:
            await until(lambda: controls.of(1))
            box.set_value("and then")
            controls.answer(controls.of(1)[0].id, "noted")
            await until(lambda: user.notify.contains("noted"))
            await asyncio.sleep(0.3)
            assert [order.text for order in controls.of(1)] == ["vary the floor"] and box.value == "and then"


async def test_what_nobody_takes_stays_in_the_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long line was gone when the campaign had ended meanwhile."""
    from nicegui import ui

    a_whole_campaign(tmp_path)
    async with looking_at(tmp_path, "/c/1/now", monkeypatch) as (user, shown):
        await until(lambda: shown(ui.textarea))
        (box,) = shown(ui.textarea)
        for line in ("vary the floor", "/nonsense"):
            box.set_value(line)
            does(user, box, "keydown.enter")
            await until(lambda: user.notify.messages)
            assert box.value == line
            user.notify.messages.clear()


async def test_of_a_long_conversation_an_open_page_holds_no_more_than_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that was open all night held every line of it."""
    from nicegui import ui

    a_whole_campaign(tmp_path, finished=False)
    with Archive.open(tmp_path) as archive:
        async with looking_at(tmp_path, "/c/1/now", monkeypatch) as (_, shown):
            monkeypatch.setattr(sys.modules["move37.app.page.now"], "SHOWN", 20)
            monkeypatch.setattr(sys.modules["move37.app.page.hub"], "FRESH", 0.0)

            def lines() -> list[str]:
                return re.findall(r"line \d+ of the night", "".join(e.content for e in shown(ui.html)))

            def is_shown(text: str) -> bool:
                return text in lines()

            await until(lambda: any("try a short convolution" in e.content for e in shown(ui.html)))
            for n in range(36):
                said = Message(source="Critic", to="Lab", text=f"line {n} of the night", at=now(), experiment="c1-001")
                archive.say(1, said)
                if n % 6 == 5:
                    await until(partial(is_shown, said.text))
            assert 20 <= len(lines()) < 30 and lines()[-1] == "line 35 of the night"


async def until(happens: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not happens():
            await asyncio.sleep(0.05)

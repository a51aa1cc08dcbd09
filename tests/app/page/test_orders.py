"""Orders of the page: what could not be passed on is said, and whoever typed it hears that it did not get there."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from move37.app.page.hub import Hub
from move37.lab.archive import shared
from move37.lab.archive.controls import ControlKind
from move37.lab.archive.store import Archive
from tests.builders import a_brief


@pytest.mark.parametrize("kind", list(ControlKind))
async def test_an_order_that_cannot_be_written_is_said_to_have_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: ControlKind
) -> None:
    """The archive is busy for longer than a writer waits: to the page that is what a full disk is."""
    ui = pytest.importorskip("nicegui").ui
    from move37.app.page.frame import Page

    said: list[str] = []
    monkeypatch.setattr(shared, "BUSY", 1)
    monkeypatch.setattr(ui, "notify", lambda text, **_: said.append(text))
    monkeypatch.setattr(Page, "user", "ada")
    page: Any = Page.__new__(Page)  # without a browser
    page.hub, page.campaign, page._viewer = Hub(tmp_path), 1, nullcontext()
    with Archive.open(tmp_path) as archive:
        archive.begin_campaign(a_brief())
        with archive.write():
            assert not await page.order(kind, text="try a floor")
    page.hub.close()
    (text,) = said
    assert "cannot be written" in text and "locked" in text

"""On a busy machine a page comes late, and not as an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nicegui")

from move37.app.page import server
from move37.app.page.hub import Hub


def test_no_page_is_given_up_after_the_three_seconds_of_the_library(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    patience: dict[str, float] = {}

    def page(path: str, *, response_timeout: float = 3.0, **_: Any) -> Any:
        patience[path] = response_timeout
        return lambda build: build

    monkeypatch.setattr("move37.app.page.server.ui.page", page)
    monkeypatch.setattr("move37.app.page.server.app.exception_handler", lambda error: lambda handler: handler)
    hub = Hub(tmp_path)
    server.routes(hub)
    hub.close()
    assert {"/", "/c/{campaign}/board", "/c/{campaign}/now"} <= patience.keys()
    assert min(patience.values()) >= 60.0

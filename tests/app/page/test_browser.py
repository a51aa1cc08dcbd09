"""The browser of the tests ends whatever happens, so that no later test finds an event loop that runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.app.page.conftest import CHROMIUM, chromium


@pytest.mark.page
@pytest.mark.parametrize("dies", [False, True])
def test_after_a_browser_no_event_loop_runs(dies: bool) -> None:
    pytest.importorskip("playwright")
    if not Path(CHROMIUM).exists():
        pytest.skip("chromium is not installed")
    with pytest.raises(RuntimeError, match="a test failed"), chromium() as opened:
        page = opened.new_page()
        page.goto("data:text/html,<p>here</p>")
        if dies:
            opened.close()
        raise RuntimeError("a test failed")
    assert asyncio.run(asyncio.sleep(0, "free")) == "free"

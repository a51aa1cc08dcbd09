"""The browser of the tests ends whatever happens, so that no later test finds an event loop that runs."""

from __future__ import annotations

import asyncio

import pytest

from tests.app.page.conftest import chromium, need_chromium


@pytest.mark.page
@pytest.mark.parametrize("dies", [False, True])
def test_after_a_browser_no_event_loop_runs(dies: bool) -> None:
    need_chromium()
    with pytest.raises(RuntimeError, match="a test failed"), chromium() as opened:
        page = opened.new_page()
        page.goto("data:text/html,<p>here</p>")
        if dies:
            opened.close()
        raise RuntimeError("a test failed")
    assert asyncio.run(asyncio.sleep(0, "free")) == "free"


def test_without_a_browser_ci_fails_and_a_laptop_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{need_chromium.__module__}.CHROMIUM", "/nowhere/chromium")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=r"browser\.sh"):
        need_chromium()
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception):
        need_chromium()

"""What people and machines do to a page that nobody meant: a message of a megabyte, a browser without JavaScript."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.campaigns import a_whole_campaign
from tests.app.page.conftest import served
from tests.app.page.test_page import Seen

pytestmark = pytest.mark.page
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home: Path = tmp_path_factory.mktemp("bad") / "home"
    a_whole_campaign(home)
    with served(home) as address:
        yield address


def test_without_javascript_the_report_reads_and_the_page_says_where_it_is(browser: Any, address: str) -> None:
    with Seen(browser, java_script_enabled=False) as seen:
        seen.page.goto(f"{address}/c/1/now")
        seen.page.get_by_role("link", name="the report of this campaign").click()
        seen.page.wait_for_url("**/report.html")
        words = seen.page.inner_text("body")
        assert "Leaderboard" in words and "gla_two_paths" in words and "Not distinguishable" in words
        assert seen.page.locator("table tbody tr").count() > 9


def test_a_line_of_a_megabyte_is_cut_where_it_is_typed(browser: Any, address: str) -> None:
    with Seen(browser) as seen:
        seen.page.goto(f"{address}/c/1/now", wait_until="networkidle")
        box = seen.page.get_by_label("say something")
        box.focus()
        seen.page.evaluate(f"document.execCommand('insertText', false, 'x'.repeat({MEGABYTE}))")
        assert len(box.input_value()) <= 8_000
        box.press("Enter")
        seen.page.wait_for_selector("text=does not run")
        assert seen.errors == []


def test_a_message_of_megabytes_ends_its_sender_alone(browser: Any, address: str) -> None:
    with Seen(browser) as seen, Seen(browser) as other:
        for each in (seen, other):
            each.page.goto(f"{address}/c/1/now", wait_until="networkidle")
        seen.page.evaluate(f"window.socket.emit('event', {{args: 'x'.repeat({3 * MEGABYTE})}})")
        other.page.get_by_role("link", name="Leaderboard").click()
        other.page.wait_for_selector("table.board")
        seen.page.goto(f"{address}/c/1/board", wait_until="networkidle")
        seen.page.wait_for_selector("table.board")

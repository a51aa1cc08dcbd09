"""What people do out of habit, in a real browser: old addresses, going back, typing at once, narrow screens."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from move37.lab.archive.message import Message, now
from move37.lab.archive.store import Archive
from move37.lab.records import ExperimentStatus, Role
from tests.app.campaigns import a_whole_campaign
from tests.app.page.conftest import served
from tests.app.page.test_page import OUT_OF_SIGHT, SECTIONS, Seen
from tests.builders import a_brief, a_candidate, a_measurement

pytestmark = pytest.mark.page
LONG = "mixer" * 300
MOVE37 = (sys.executable, "-m", "move37")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A home of two campaigns; somebody has said a line without a blank in it."""
    home: Path = tmp_path_factory.mktemp("habits") / "home"
    a_whole_campaign(home)
    with Archive.open(home) as archive:
        archive.say(1, Message(source="Critic", to="Lab", text=LONG, at=now(), experiment="c1-003"))
        other = archive.begin_campaign(a_brief(budget=1, seed=1))
        found = archive.begin_experiment(other.id, 1, Role.CANDIDATE, name="of_another_night", family="gla")
        archive.finish_stage(found.id, "candidate", {"candidate": a_candidate(source="x = 1\n", family="gla")})
        run = a_measurement(value=2.5, steps=500)
        archive.finish_stage(found.id, "lm@500", {"measurements": (run,)}, rung=2, status=ExperimentStatus.MEASURED)
        archive.update_campaign(other.id, status="finished")
    with served(home) as address:
        yield address


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/c/99/now", "There is no campaign 99"),
        ("/c/1/e/c1-999", "There is no experiment c1-999"),
        ("/c/1/compare?ids=c1-999,c1-001", "Not shown: c1-999"),
        ("/c/one/now", "There is nothing here"),
        ("/c/1/nowhere", "There is nothing here"),
        ("/nowhere", "There is nothing here"),
        ("/begin?campaign=99", "There is no campaign 99"),
        ("/begin?campaign=<script>", "There is no campaign <script>"),
        ("/campaigns?ids=9,x", "Campaigns"),
    ],
)
def test_an_old_or_misspelt_address_is_a_page_with_a_way_on(browser: Any, address: str, path: str, says: str) -> None:
    """A number that was none was answered with JSON of the library's."""
    with Seen(browser) as seen:
        seen.page.goto(address + path, wait_until="networkidle")
        seen.page.get_by_text(says).first.wait_for()
        ways = seen.page.locator("a[href='/campaigns']")
        assert ways.count() or seen.page.locator("nav.pages a").count()
        assert seen.errors == []


def test_an_address_without_its_page_is_that_of_now(browser: Any, address: str) -> None:
    with Seen(browser) as seen:
        for path in ("/c/1", "/c/1/"):
            seen.page.goto(address + path, wait_until="networkidle")
            seen.page.wait_for_url("**/c/1/now")


def test_a_command_is_typed_without_waiting_for_the_page(browser: Any, address: str) -> None:
    """The stroke was swallowed and each letter after it was a key: "/pin" paused the campaign."""
    with Seen(browser) as seen:
        seen.page.goto(f"{address}/c/1/now", wait_until="networkidle")
        seen.page.keyboard.type("/pin gla")
        assert seen.page.get_by_label("say something").input_value() == "/pin gla"
        seen.page.goto(f"{address}/c/1/memory", wait_until="networkidle")
        seen.page.locator("body").click(position={"x": 5, "y": 300})
        seen.page.keyboard.type("/decay")
        assert seen.page.get_by_label("search memory").input_value() == "decay"
        seen.page.goto(f"{address}/c/1/story", wait_until="networkidle")
        seen.page.keyboard.press("/")
        seen.page.wait_for_url("**/c/1/now")


def test_what_is_compared_stands_in_the_address_and_may_be_of_another_campaign(browser: Any, address: str) -> None:
    with Seen(browser) as seen:
        page = seen.page
        page.goto(f"{address}/c/1/compare", wait_until="networkidle")
        page.wait_for_selector("text=What was believed")  # the best candidate and what it was made from
        page.goto(f"{address}/c/1/compare?ids=c1-001", wait_until="networkidle")
        field = page.get_by_label("experiments to compare")
        field.click()
        field.press_sequentially("another")
        page.get_by_role("option", name="c2-001 of_another_night").click()
        page.get_by_text("From ").wait_for()
        page.wait_for_function("location.search.includes('c2-001')")
        page.reload(wait_until="networkidle")
        page.get_by_text("From ").wait_for()
        page.goto(f"{address}/c/1/board", wait_until="networkidle")
        page.go_back(wait_until="networkidle")
        page.get_by_text("From ").wait_for()


def test_campaigns_are_chosen_and_compared(browser: Any, address: str) -> None:
    with Seen(browser) as seen:
        seen.page.goto(f"{address}/campaigns?ids=2", wait_until="networkidle")
        seen.page.locator("main.content tbody tr").first.wait_for()
        assert seen.page.locator("main.content tbody tr").count() == 1
        seen.page.get_by_label("campaigns to compare").click()
        seen.page.get_by_role("option", name="1: mixers").click()
        seen.page.locator("main.content tbody tr").nth(1).wait_for()
        seen.page.wait_for_function("location.search.includes('2,1')")


def test_rows_of_the_leaderboard_are_filtered_and_sorted(browser: Any, address: str) -> None:
    with Seen(browser) as seen:
        page = seen.page
        page.goto(f"{address}/c/1/board", wait_until="networkidle")
        table = page.locator("table.board").nth(1)
        ids = "t => [...t.tBodies[0].rows].filter(r => !r.hidden).map(r => r.querySelector('.id').textContent)"
        ranked = table.evaluate(ids)
        page.keyboard.type("/GLA c1-")
        assert page.get_by_label("show rows").input_value() == "GLA c1-"
        assert 0 < len(table.evaluate(ids)) < len(ranked)
        page.get_by_label("show rows").fill("")
        head = table.locator("th").nth(2)
        head.click()
        head.click()
        turned = table.evaluate(ids)
        assert turned[0] == ranked[-1] and turned[-1] == ranked[0] and sorted(turned) == sorted(ranked)
        assert head.get_attribute("aria-sort") == "descending"
        head.press("Enter")
        assert table.evaluate(ids) == ranked


def test_cost_is_shown_for_the_values_that_are_chosen_and_the_choice_stays(browser: Any, address: str) -> None:
    with Seen(browser, viewport={"width": 390, "height": 844}) as seen:
        page = seen.page
        page.goto(f"{address}/c/1/plots", wait_until="networkidle")
        page.get_by_text("After 100 steps, screened. Nothing").wait_for()
        page.get_by_label("Quality beside cost").click()
        page.get_by_role("option", name="after 500 steps, screened").click()
        page.get_by_text("After 500 steps, screened. Nothing").wait_for()
        assert page.get_by_text("After 100 steps, screened. Nothing").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 390 and seen.errors == []


def test_a_symptom_that_is_typed_is_answered_from_memory(browser: Any, tmp_path: Path) -> None:
    """An empty memory was "Nothing was found.", and nothing said how to fill it."""
    home = tmp_path / "home"
    a_whole_campaign(home)
    with served(home) as address:
        for width, filled in ((390, False), (390, True), (1300, True)):
            with Seen(browser, viewport={"width": width, "height": 844}) as seen:
                page = seen.page
                page.goto(f"{address}/c/1/memory", wait_until="networkidle")
                page.get_by_label("search memory").press_sequentially("it forgets rare tokens")
                page.keyboard.press("Enter")
                if not filled:
                    page.get_by_text("move37 memory add --builtin").wait_for()
                    subprocess.run([*MOVE37, "--home", str(home), "memory", "add", "--builtin"], check=True)
                    continue
                page.locator(".hit").first.wait_for()
                assert page.locator(".hit .id").count() == page.locator(".hit").count() > 2
                assert page.get_by_text("to do:").count() and not page.locator("p.bad").count()
                assert page.evaluate("document.documentElement.scrollWidth") <= width and seen.errors == []
                page.get_by_role("button", name="decay per channel").click()
                page.get_by_text("Searching …").wait_for()
                page.locator(".hit").first.wait_for()


@pytest.mark.parametrize("path", ["/c/1/now", "/c/1/e/c1-003", "/campaigns", "/begin", "/nowhere"])
def test_a_line_without_a_blank_does_not_widen_a_phone(browser: Any, address: str, path: str) -> None:
    with Seen(browser, viewport={"width": 390, "height": 844}) as seen:
        seen.page.goto(address + path, wait_until="networkidle")
        seen.page.wait_for_selector("main")
        wide = """[...document.querySelectorAll("*")].filter(e => e.getBoundingClientRect().right > 391
            && !e.closest("pre, nav")).map(e => e.tagName + " " + e.className + " " + e.textContent.slice(0, 30))"""
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= 390, seen.page.evaluate(wide)[:9]
        assert seen.page.evaluate(OUT_OF_SIGHT) == []


@pytest.mark.parametrize("path", ["/c/1/insight", "/c/1/e/c1-001", "/c/1/compare", "/campaigns"])
def test_on_a_phone_no_words_of_a_table_lie_upon_others(browser: Any, address: str, path: str) -> None:
    """Of two cells that share a line the label of the second lay upon the number of the first."""
    crowded = """[...document.querySelectorAll("main.content .stack td")].filter(
        e => e.offsetWidth && e.scrollWidth > e.clientWidth + 1).map(e => e.dataset.label + ": " + e.textContent)"""
    with Seen(browser, viewport={"width": 390, "height": 844}) as seen:
        seen.page.goto(address + path, wait_until="networkidle")
        seen.page.wait_for_selector("main.content .stack td")
        assert seen.page.evaluate(crowded) == []


def test_the_name_is_kept_and_signs_what_is_said_in_every_tab(browser: Any, address: str) -> None:
    with Seen(browser) as seen:
        seen.page.goto(f"{address}/c/1/now", wait_until="networkidle")
        seen.page.get_by_label("Menu").click()
        seen.page.get_by_text("Your name…").click()
        seen.page.get_by_label("What your lines are signed with").fill("<b>ada</b>")
        seen.page.get_by_role("button", name="Keep").click()
        tab = seen.context.new_page()
        tab.goto(f"{address}/c/1/story", wait_until="networkidle")
        tab.get_by_label("Menu").click()
        tab.get_by_text("Your name…").click()
        assert tab.get_by_label("What your lines are signed with").input_value() == "<b>ada</b>"


def test_until_a_plot_is_drawn_its_place_says_so(browser: Any, address: str) -> None:
    """The page of the tree was blank for seconds on a busy machine, as if there were nothing."""
    with Seen(browser) as seen:
        seen.page.route(re.compile("plotly"), lambda route: None)  # the library that draws never comes
        seen.page.goto(f"{address}/c/1/tree")
        seen.page.get_by_text("Drawing …").wait_for()


def test_an_empty_home_has_a_way_in_and_no_errors(browser: Any, tmp_path: Path) -> None:
    with served(tmp_path / "home") as address, Seen(browser) as seen:
        seen.page.goto(address, wait_until="networkidle")
        seen.page.get_by_role("button", name="Begin").wait_for()
        for path in ("/campaigns", *(f"/c/1/{section}" for section in SECTIONS)):
            seen.page.goto(address + path, wait_until="networkidle")
            assert seen.page.locator("text=/There is no campaign 1|Nothing has run/").count() == 1, path
        assert seen.errors == []


def test_while_the_server_is_away_the_page_says_so(browser: Any, tmp_path: Path) -> None:
    home = tmp_path / "home"
    a_whole_campaign(home)
    with Seen(browser) as seen:
        with served(home) as address:
            seen.page.goto(f"{address}/c/1/now", wait_until="networkidle")
        seen.page.get_by_text("Connection lost").wait_for()
        seen.page.get_by_text("try a short convolution").first.wait_for()  # what was there can still be read

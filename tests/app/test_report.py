"""The report: one page that needs nothing else, in which foreign text is only text, whatever the campaign came to."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.app.reading import pick_campaign, reading
from move37.app.report import html_of, markdown_of, write_report
from move37.app.text import bare
from move37.app.views.campaign import CampaignView, view_of
from move37.app.views.charts import charts, narrow, places
from move37.app.views.code import difference, highlighted, highlighted_difference
from move37.app.views.search import claim
from move37.app.views.words import grouped_gates
from move37.lab.archive.store import Archive
from move37.lab.records import ExperimentStatus, Role
from tests.app.campaigns import SHORTENED, a_whole_campaign
from tests.app.conftest import Move37
from tests.builders import a_brief, a_gate


def told(home: Path) -> CampaignView:
    with reading(home) as archive:
        return view_of(archive, pick_campaign(archive))


@pytest.fixture(scope="module")
def view(finished: Path) -> CampaignView:
    return told(finished)


class Page(HTMLParser):
    """What a browser would find."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[tuple[dict[str, Any], str]] = []
        self.tags: list[str] = []
        self.outside: list[str] = []
        self.handlers: list[str] = []
        self._script: dict[str, Any] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        self.handlers += [name for name in given if name.startswith("on")]
        self.outside += [str(v) for k, v in given.items() if k in ("src", "href") and not str(v).startswith("#")]
        if tag == "script":
            self._script = given
            self.scripts.append((given, ""))

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self.scripts[-1] = (self._script, self.scripts[-1][1] + data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._script = None


def test_the_page_needs_nothing_from_outside(view: CampaignView) -> None:
    page = Page(html_of(view))
    assert page.outside == [] and page.handlers == []
    assert len(page.scripts) == 3  # the figures, Plotly, and what draws them


def test_only_scripts_whose_hash_the_page_names_may_run(view: CampaignView) -> None:
    text = html_of(view)
    allowed = set(re.findall(r"'sha256-([^']+)'", text))
    run = [body for given, body in Page(text).scripts if given.get("type") != "application/json"]
    assert {base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() for body in run} == allowed


def test_foreign_text_stays_text(hostile: Path, finished: Path) -> None:
    text = html_of(told(hostile))
    page, calm = Page(text), Page(html_of(told(finished)))
    assert len(page.scripts) == len(calm.scripts) and "img" not in page.tags and page.handlers == []
    assert not set(text) & {"\x1b", "\x07", "\u202e"}
    figures = next(body for given, body in page.scripts if given.get("type") == "application/json")
    assert "<" not in figures and json.loads(figures)


def test_foreign_text_stays_text_in_markdown(hostile: Path) -> None:
    text = markdown_of(told(hostile))
    assert not re.search(r"(?<!\\)<", text) and "\x1b" not in text
    table = [line for line in text.splitlines() if re.match(r"\| \d", line)]
    assert len(table) > 12
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {7}


def test_the_page_says_what_was_shortened_and_claims_nothing(view: CampaignView) -> None:
    text = html_of(view)
    assert all(sentence in text for sentence in SHORTENED)
    assert "No row is a discovery" in text and "screened on one seed" in text and "5 fresh seeds" in text
    assert "Not distinguishable" in claim(view)


def test_every_experiment_has_its_section(view: CampaignView) -> None:
    text = html_of(view)
    assert all(f'<details id="{e.id}">' in text for e in view.experiments)
    assert "Difference against gated_delta (c1-gated_delta)" in text and "try a short convolution" in text


def test_every_chart_is_drawn_and_strict_json(view: CampaignView) -> None:
    drawn = charts(view)
    assert [c.title for c in drawn] == [
        "Bits per byte after 500 steps, fresh seeds, deciding text",
        "Bits per byte after 500 steps, screened",
        "Progress of the search",
        "The ladder of evidence",
        "Discoveries against compute",
        "Family tree",
        *["Quality beside cost"] * 4,  # on the steps of each rung, and on fresh seeds
        "What the gates refused",
    ]
    json.dumps([c.figure for c in drawn], allow_nan=False)


def test_fresh_seeds_have_bars_and_one_seed_has_none(view: CampaignView) -> None:
    for chart in charts(view)[:2]:
        for trace in chart.figure["data"]:
            assert ("error_x" in trace) == ("fresh" in trace["name"]) == ("fresh" in chart.title)
            assert (trace["marker"]["symbol"] == "circle") == ("fresh" in trace["name"])


def test_an_empty_campaign_has_a_page(tmp_path: Path, move37: Move37) -> None:
    home = tmp_path / "home"
    with Archive.open(home) as archive:
        archive.begin_campaign(a_brief())
    answer = move37("--home", str(home), "report")
    text = Path(answer.out.strip()).read_text()
    assert "Nothing has been tried yet" in text and Page(text).scripts == []
    assert move37("--home", str(home), "report", "--markdown").status == 0


def test_a_campaign_of_failures_has_a_page(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Archive.open(home) as archive:
        campaign = archive.begin_campaign(a_brief())
        for number in (1, 2):
            ident = archive.begin_experiment(campaign.id, number, Role.CANDIDATE).id
            archive.finish_stage(ident, "hypothesis", {}, status=ExperimentStatus.FAILED, reason="no valid reply")
    view = told(home)
    assert "no valid reply" in html_of(view) and "2 failed" in claim(view)


def test_the_report_is_written_where_it_is_asked_for(move37: Move37, tmp_path: Path) -> None:
    home = tmp_path / "home"
    a_whole_campaign(home)
    answer = move37("--home", str(home), "report", "--out", str(tmp_path / "deep" / "r.html"))
    assert answer.out.strip() == str(tmp_path / "deep" / "r.html")
    assert (tmp_path / "deep" / "r.html").read_text().startswith("<!doctype html>")
    answer = move37("--home", str(home), "report", "--out", "/proc/nowhere/r.html")
    assert answer.status == 3 and "--out" in answer.err


def test_a_device_is_written_to_and_a_link_followed(move37: Move37, tmp_path: Path) -> None:
    home, real, link, pipe = (tmp_path / name for name in ("home", "real.html", "link.html", "pipe"))
    a_whole_campaign(home)
    link.symlink_to(real)
    assert move37("--home", str(home), "report", "--out", str(link)).status == 0
    assert link.is_symlink() and real.read_text().startswith("<!doctype html>")
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE)
    assert move37("--home", str(home), "report", "--markdown", "--out", str(pipe)).status == 0
    said, _ = reader.communicate()
    assert said.startswith(b"# ") and pipe.is_fifo()


@given(st.text(max_size=300))
def test_colouring_changes_no_character(source: str) -> None:
    coloured = highlighted(source)
    assert unescape(re.sub(r"</?span[^>]*>", "", coloured)) == bare(source)


@given(st.text(max_size=80), st.text(max_size=80))
def test_a_difference_is_escaped(old: str, new: str) -> None:
    made = re.sub(r"</?span( class=\"[\w-]+\")?>", "", highlighted_difference(old, new, "<parent>"))
    assert "<" not in made and unescape(made) == difference(old, new, "<parent>")


def test_a_long_name_may_break_at_its_underscores(view: CampaignView) -> None:
    """A name in one piece pushed the last columns off the page."""
    assert "<b>gla_<wbr>two_<wbr>paths</b>" in html_of(view)


def test_a_chart_without_a_neighbour_takes_the_whole_row(view: CampaignView, tmp_path: Path) -> None:
    drawn = charts(view)
    shown = places(drawn)
    small = sum(not drawn[indices[0]].wide for indices in shown)
    assert html_of(view).count('<figure class="broad">') == len(shown) - small + small % 2


def test_below_each_other_every_plot_keeps_its_noise_band(view: CampaignView) -> None:
    found = {chart.title: chart for chart in charts(view) if chart.figure["layout"].get("grid")}
    assert "Quality beside cost" in found
    for chart in found.values():
        layout = narrow(chart).figure["layout"]
        axes = {name.replace("axis", "") for name in layout if name.startswith("yaxis")}
        bands = {shape["yref"] for shape in layout["shapes"] if shape.get("xref") == "paper"}
        assert bands == axes and len(axes) > 1


def test_gates_that_could_not_run_for_one_reason_share_a_line() -> None:
    ran = a_gate(name="import")
    idle = [a_gate(name=n, passed=None, value=None, message="does not apply to programs") for n in ("shape", "batch")]
    alone = a_gate(name="novelty", passed=None, value=None, message="no archive")
    shown = grouped_gates([idle[0], ran, idle[1], alone])
    assert [(name, gate.message) for name, gate in shown] == [
        ("import", ran.message),
        ("2 others", "does not apply to programs"),
        ("novelty", "no archive"),
    ]


def test_the_leaderboard_is_drawn_before_it_is_written(view: CampaignView) -> None:
    page = html_of(view)
    assert page.index('data-figure="0"') < page.index("<h2>Leaderboard") < page.index('data-figure="1"')


def test_who_write_the_same_report_in_the_same_moment_do_not_disturb_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two terminals at a campaign that ended: one was told that the report cannot be written, and no next command."""
    campaign = a_whole_campaign(tmp_path)
    written, replace = threading.Barrier(2, timeout=60), Path.replace

    def when_both_are_written(half: Path, target: Path) -> Path:
        written.wait()
        return replace(half, target)

    def write() -> Path:
        with Archive.open(tmp_path, readonly=True) as archive:
            return write_report(archive, campaign, tmp_path / "reports" / "campaign-1.md", markdown=True)

    monkeypatch.setattr(Path, "replace", when_both_are_written)
    with ThreadPoolExecutor(2) as pool:
        first, second = (pool.submit(write) for _ in range(2))
        assert first.result() == second.result()
    assert [p.name for p in first.result().parent.iterdir()] == ["campaign-1.md"]

"""What language models took, by role: tokens of a prompt, cache hits where the provider says so, dollars."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from move37.app.reading import pick_campaign, reading
from move37.app.report import html_of, markdown_of
from move37.app.views.campaign import view_of
from move37.app.views.spending import spending_section, usage_by_role
from move37.lab.archive import schema
from move37.lab.archive.message import TOOLS, Message
from move37.lab.archive.store import FILE, Archive
from tests.app.conftest import Move37
from tests.builders import a_call


def test_tokens_a_prompt_are_a_median_over_calls_and_a_reply_that_was_asked_again_counts_once_each() -> None:
    calls = [a_call(prompt_tokens=1_000), a_call(prompt_tokens=6_000, attempts=2), a_call(prompt_tokens=2_000)]
    (found,) = usage_by_role(calls)
    assert found.prompt == 2_000 and found.prompts == 9_000 and found.invalid == 1 and found.calls == 3


def test_cache_hits_are_a_share_of_tokens_and_of_calls() -> None:
    calls = [a_call(cached_tokens=3_000), a_call(cached_tokens=0), a_call(role="Critic")]
    researcher, critic = usage_by_role(calls)
    assert researcher.cached == pytest.approx(3 / 8) and researcher.hits == 0.5
    assert critic.cached is None and critic.hits is None


def test_the_last_row_is_all_roles_together_and_a_search_has_none() -> None:
    table = spending_section([a_call(), a_call(role="Critic", prompt_tokens=2_000)]).table
    assert table is not None
    assert [row[0].text for row in table.rows] == ["Researcher", "Critic", "all"]
    assert [row[5].text for row in table.rows] == ["4,000", "2,000", "6,000"]
    assert not spending_section([])


def test_what_calls_waited_stands_beside_what_they_took() -> None:
    table = spending_section([a_call(waited=30.0), a_call(role="Critic")]).table
    assert table is not None
    columns = [c.name for c in table.columns]
    shown = [[row[columns.index(name)].text for row in table.rows] for name in ("seconds", "waited")]
    assert shown == [["2", "2", "4"], ["30", "–", "30"]]


@pytest.mark.parametrize("version", range(1, len(schema.STEPS) + 1))
def test_calls_of_every_older_archive_that_is_only_read_are_told(version: int, tmp_path: Path) -> None:
    file = tmp_path / FILE
    with sqlite3.connect(file) as db:
        db.row_factory = sqlite3.Row
        for step in schema.STEPS[:version]:
            step(db)
        db.execute(f"PRAGMA user_version = {version}")
        db.execute("INSERT INTO campaigns (brief, status, started_at) VALUES ('{}', 'finished', '')")
        db.execute(
            "INSERT INTO calls (campaign, role, model, prompt_version, prompt_tokens, completion_tokens, cost, seconds,"
            " at) VALUES (1, 'Critic', 'm', 'v', 7, 3, 0, 2.0, '')"
        )
    with Archive.open(tmp_path, readonly=True) as archive:
        (found,) = usage_by_role(archive.calls(1))
    assert (found.seconds, found.waited, found.prompts) == (2.0, 0.0, 7)


def test_calls_of_tools_are_counted_by_role_from_what_was_said() -> None:
    said = [Message(text="diff", source=role, to=TOOLS) for role in ("Critic", "Researcher", "Critic")]
    said.append(Message(text="no call", source="Critic", to="Engineer"))
    table = spending_section([a_call(), a_call(role="Critic")], said).table
    assert table is not None and [row[2].text for row in table.rows] == ["1", "2", "3"]


def test_an_experiment_shows_its_own_calls_and_the_report_all_of_them(move37: Move37, finished: Path) -> None:
    shown = move37("--home", str(finished), "show", "2").out
    assert "What language models took" in shown and "75%" in shown
    with reading(finished) as archive:
        view = view_of(archive, pick_campaign(archive))
    for text in (html_of(view), markdown_of(view)):
        assert "What language models took" in text and "96,000" in text and "38%" in text

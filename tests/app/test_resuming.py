"""What resume may change: limits, budget, model and sandbox, each only where it is named, all sessions counted."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from move37.agents.inbox import Inbox
from move37.app import resuming
from move37.app.campaign_facts import watched
from move37.app.exits import BadInput
from move37.app.models import checked
from move37.app.resuming import SpentSoFar
from move37.app.settings import Settings, load
from move37.app.wiring import resume_campaign
from move37.lab.archive.store import Archive
from move37.lab.tasks.registry import kind_of
from tests.builders import a_brief

BEFORE = a_brief(budget=12, max_seconds=600.0, max_tokens=50_000, model="openai:a")
SPENT = SpentSoFar(candidates=8, seconds=500.0, tokens=40_000, cost=1.5)


def given(**flags: Any) -> Settings:
    return load(flags)


def test_what_is_not_named_stays() -> None:
    assert resuming.revised(BEFORE, given(), SPENT) == BEFORE


def test_a_file_s_settings_were_there_before_and_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("move37.toml").write_text('budget = 3\nmodel = "openai:other"\nsandbox = "process"\n')
    settings = load()
    assert resuming.revised(BEFORE, settings, SPENT) == BEFORE
    assert resuming.sandbox(settings, {"sandbox": "docker"})[0] == "docker"


def test_what_is_named_replaces_and_is_said() -> None:
    settings = given(budget="20", max_time="1h", max_tokens="90k", max_cost="2", model="openai:b")
    now = resuming.revised(BEFORE, settings, SPENT)
    assert (now.budget, now.max_seconds, now.max_tokens, now.max_cost, now.model) == (20, 3600, 90_000, 2.0, "openai:b")
    assert (now.seed, now.task, now.text) == (BEFORE.seed, BEFORE.task, BEFORE.text)
    assert len(resuming.changes(now, BEFORE)) == 5
    assert resuming.changes(BEFORE, BEFORE) == ()


@pytest.mark.parametrize(
    ("flag", "value"), [("budget", "7"), ("max_time", "500s"), ("max_tokens", "40k"), ("max_cost", "1.50")]
)
def test_a_limit_that_is_used_up_is_refused_with_what_is_used(flag: str, value: str) -> None:
    with pytest.raises(BadInput, match=f"--{flag.replace('_', '-')}.*name more"):
        resuming.revised(BEFORE, given(**{flag: value}), SPENT)


def test_only_more_of_something_extends_a_finished_campaign() -> None:
    assert not resuming.extends(BEFORE, BEFORE)
    for flags in ({"budget": "13"}, {"max_time": "11m"}, {"max_tokens": "60k"}):
        assert resuming.extends(resuming.revised(BEFORE, given(**flags), SPENT), BEFORE)
    assert not resuming.extends(resuming.revised(BEFORE, given(budget="9"), SPENT), BEFORE)
    no_time = replace(BEFORE, max_seconds=None)  # then the quick preset's own may have ended it
    assert resuming.extends(resuming.revised(no_time, given(max_time="20m"), SPENT), no_time)


@pytest.mark.parametrize(
    ("flags", "facts", "backend", "said"),
    [
        ({}, {"sandbox": "docker"}, "docker", "began in"),
        ({"sandbox": "process"}, {"sandbox": "docker"}, "process", "began in the docker"),
        ({"sandbox": "auto"}, {"sandbox": "process"}, "process", "began in"),
        ({}, {}, "auto", ""),
        ({"sandbox": "process"}, {}, "process", ""),
    ],
)
def test_the_sandbox_is_the_one_it_began_in_unless_another_is_named(
    flags: dict[str, str], facts: dict[str, str], backend: str, said: str
) -> None:
    found, sentence = resuming.sandbox(given(**flags), facts)
    assert found == backend and said in sentence


@pytest.mark.parametrize(
    ("flags", "before", "then", "told"),
    [
        ({}, "hypotheses", "hypotheses", True),
        ({}, "never", "never", False),
        ({"approve": "never"}, "hypotheses", "never", False),
        ({"approve": "code"}, "hypotheses", "code", False),
    ],
)
def test_who_waited_for_a_word_waits_again_unless_another_mode_is_named(
    flags: dict[str, Any], before: str, then: str, told: bool
) -> None:
    settings, sentence = resuming.watching(given(**flags), {"approve": before})
    assert settings.campaign.approve == then and bool(sentence) == told
    assert resuming.watching(given(), {})[0].campaign.approve == "never"  # of a campaign that is older than this


LEFT = {"approve": "code", "approval_timeout": 43_200.0, "notify": "http://127.0.0.1:9/x", "workers": 2}
NAMED = {"approve": "promotions", "approval_timeout": "90s", "notify": "say done", "workers": 3}


@pytest.mark.parametrize("flag", [None, *NAMED])
def test_how_it_was_watched_stays_but_for_what_is_named(flag: str | None) -> None:
    """Also where a file says something else: it did when the campaign began."""
    Path("move37.toml").write_text('approve = "auto"\napproval_timeout = "1h"\nnotify = "say file"\nworkers = 1\n')
    settings = given(**({flag: NAMED[flag]} if flag else {}))
    kept = watched(resuming.watching(settings, LEFT)[0])
    assert kept == LEFT | ({flag: watched(settings)[flag]} if flag else {})
    assert watched(resuming.watching(settings, {})[0]) == watched(settings)  # of a campaign that is older than this


@pytest.mark.parametrize(("task", "own"), [("program:circles", "mixers"), ("mixers", "program:circles")])
async def test_a_new_model_is_judged_by_the_campaigns_task_and_not_by_that_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str, own: str
) -> None:
    """A language model that proposes for the search: programs would be written by nobody, mixers are."""
    monkeypatch.chdir(tmp_path)
    Path("move37.toml").write_text(f'task = "{own}"\n')
    settings = load({"home": tmp_path / "home", "model": "hybrid:openai:x", "base_url": "http://127.0.0.1:9/v1"})
    with Archive.open(settings.home) as archive:
        archive.begin_campaign(a_brief(task=task))
    brief = resuming.revised(a_brief(task=task), settings, SpentSoFar())
    refused = task != "mixers"
    assert kind_of(resuming.with_model(settings, brief).campaign.task).writes == ("edits" if refused else "grammar")
    with pytest.raises(BadInput, match="would propose programs") if refused else nullcontext():
        checked(resuming.with_model(settings, brief))
    if refused:
        with pytest.raises(BadInput, match="would propose programs"):
            await resume_campaign(settings, inbox=Inbox(), on_event=lambda _: None)

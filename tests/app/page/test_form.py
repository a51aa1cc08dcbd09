"""The form of a campaign: what nobody touched is left to move37.toml, the environment and the campaign itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from move37.app import resuming
from move37.app.exits import BadInput
from move37.app.page import form
from move37.app.settings import Settings, load
from move37.lab.archive.store import Archive, Campaign
from tests.builders import a_brief

OWN = """
task = "program:circles"
model = "openai:x"
base_url = "http://127.0.0.1:1/v1"
brief = "direction.md"
corpus = "texts"
preset = "full"
seed = 7
budget = 30
max_time = "8h"
max_tokens = "2m"
max_cost = 2.5
approve = "code"
sandbox = "docker"
"""


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    """Settings of a user who named everything in move37.toml."""
    (tmp_path / "move37.toml").write_text(OWN)
    (tmp_path / "direction.md").write_text("Try decays.\n")
    return load({"home": tmp_path / "home"})


def an_old_one(home: Path, *, approve: str = "never", sandbox: str = "docker") -> Campaign:
    with Archive.open(home) as archive:
        brief = replace(a_brief(budget=12), max_seconds=90.5, max_tokens=50_000, max_cost=1.25)
        return archive.begin_campaign(brief, {"approve": approve, "sandbox": sandbox})


def test_a_form_that_nobody_touched_sends_nothing(tmp_path: Path, own: Settings) -> None:
    old = an_old_one(tmp_path / "old")
    bare = load({"home": tmp_path}, file=tmp_path / "none.toml")
    for shown in (form.of_a_new_one(own), form.of_a_new_one(bare), form.of_an_old_one(own, old)):
        assert form.changed(shown, shown) == {}


def test_what_is_shown_is_what_would_begin(tmp_path: Path, own: Settings) -> None:
    shown = form.of_a_new_one(own)
    assert all(shown.values())  # nothing that the file names is missing
    assert (shown["sandbox"], shown["approve"], shown["model"]) == ("docker", "code", "openai:x")
    sent = shown | {"brief": str(tmp_path / "direction.md")}  # a text is sent as a file
    again = load({"home": own.home, **sent}, file=tmp_path / "none.toml")
    assert replace(again, flags={}) == replace(own, flags={})


@pytest.mark.parametrize("name", ["task", "model", "brief", "seed", "budget", "max_time", "max_cost", "approve"])
def test_what_was_changed_is_sent_alone(own: Settings, name: str) -> None:
    shown = form.of_a_new_one(own)
    assert form.changed(shown | {name: " something else "}, shown) == {name: "something else"}
    with pytest.raises(BadInput, match=f"{name.replace('_', ' ')} is set already"):
        form.changed(shown | {name: " "}, shown)


@pytest.mark.parametrize("began", ["never", "hypotheses", "auto"])
def test_who_goes_on_keeps_the_approval_and_the_sandbox_that_it_began_with(
    tmp_path: Path, own: Settings, began: str
) -> None:
    old = an_old_one(tmp_path / "old", approve=began, sandbox="process")
    for settings in (own, load({"home": tmp_path}, file=tmp_path / "none.toml")):
        shown = form.of_an_old_one(settings, old)
        goes_on = load({"home": tmp_path, **form.changed(shown, shown)}, file=tmp_path / "none.toml")
        goes_on = replace(settings, flags=goes_on.flags)
        assert resuming.watching(goes_on, old.facts)[0].campaign.approve == shown["approve"]
        assert shown["approve"] == began or (began, settings) == ("never", own)
        assert shown["sandbox"] == resuming.sandbox(goes_on, old.facts)[0] == "process"
        assert (shown["max_time"], shown["max_tokens"], shown["max_cost"]) == ("90.5s", "50000", "1.25")

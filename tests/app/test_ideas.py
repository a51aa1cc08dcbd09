"""Ideas that were not chosen are seen by the user, on every page, and can be handed to the next experiment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from move37.agents import campaign
from move37.agents.events import Notice
from move37.agents.inbox import Inbox
from move37.agents.ledger import handed_over, pool, unchosen
from move37.app.orders import OrderContext, carry_out, is_idea, understand
from move37.app.reading import pick_campaign, reading
from move37.app.report import html_of, markdown_of
from move37.app.views.campaign import CampaignView, view_of
from tests.agents.scripted import a_proposal, accepted, offered
from tests.agents.test_learning import Script, a_run, role_of, text_of
from tests.app.conftest import Move37

WAIT = OrderContext(ideas=("c1-001.1", "c1-001.2"))


@pytest.fixture(scope="module")
def view(finished: Path) -> CampaignView:
    with reading(finished) as archive:
        return view_of(archive, pick_campaign(archive))


def test_an_experiment_shows_what_else_was_proposed_and_what_became_of_it(move37: Move37, finished: Path) -> None:
    shown = " ".join(move37("--home", str(finished), "show", "2").out.split())
    assert "Ideas not chosen" in shown and "c1-002.1" in shown and "c1-002.2" in shown and "dearer" in shown
    assert "taken up by c1-003" in shown and "waits in the pool" in shown
    assert "Ideas not chosen" not in move37("--home", str(finished), "show", "1").out


def test_the_pool_is_a_command_for_a_person_and_for_a_program(move37: Move37, finished: Path, tmp_path: Path) -> None:
    answer = move37("--home", str(finished), "ideas")
    assert answer.status == 0 and "c1-002.2" in answer.out and "c1-002.1" not in answer.out
    (found,) = json.loads(move37("--home", str(finished), "ideas", "--json").out)
    assert found["id"] == "c1-002.2" and found["hypothesis"]["base"] == "c1-gla"
    nothing = move37("--home", str(tmp_path / "nowhere"), "ideas")
    assert nothing.status == 0 and "no idea waits" in nothing.out


def test_the_report_tells_the_pool_in_both_forms(view: CampaignView) -> None:
    for text in (html_of(view), markdown_of(view)):
        assert "Ideas that nobody has tried" in text and "c1-002.2" in text


def test_an_idea_that_was_tried_under_its_name_has_left_the_pool(view: CampaignView) -> None:
    two = next(e for e in view.experiments if e.id == "c1-002")
    assert [i.id for i in unchosen(two)] == ["c1-002.1", "c1-002.2"]
    assert [i.id for i in pool(view.experiments)] == ["c1-002.2"]


@pytest.mark.parametrize("text", ["c1-001.1", " c1-001.2 "])
def test_an_idea_is_proposed_by_its_id(text: str) -> None:
    inbox = Inbox()
    assert f"gets idea {text.strip()}" in carry_out(understand(f"/propose {text}"), inbox, WAIT)
    said = inbox.take_proposal()
    assert said is not None and said.text == text.strip()


def test_an_idea_that_is_not_there_is_told_and_hands_nothing_over() -> None:
    inbox = Inbox()
    told = carry_out(understand("/propose c1-001.7"), inbox, WAIT)
    assert "no idea c1-001.7" in told and "c1-001.1, c1-001.2" in told and inbox.take_proposal() is None
    assert "none waits" in carry_out(understand("/propose c1-001.7"), inbox, OrderContext())


@pytest.mark.parametrize("text", ["gla 1.2", "c1-001", "a floor of 0.5", "c1-001.x", "c1-001.1 but longer", "1.2"])
def test_words_are_no_idea(text: str) -> None:
    assert not is_idea(text) and handed_over(text, ()) == text


async def test_an_idea_that_the_user_hands_over_reaches_the_researcher_in_full(tmp_path: Path) -> None:
    def researcher(number: int, times: int, request: dict[str, Any]) -> Any:
        if number == 1:
            return offered(*(a_proposal(name=f"idea_{n}", change=f"a floor number {n}") for n in (1, 2, 3)))
        return Script.usual("Researcher", number)

    with a_run(tmp_path, Script(Researcher=researcher, Critic=lambda *_: accepted()), budget=2) as (context, requests):
        heard: list[Any] = []
        object.__setattr__(context, "on_event", heard.append)
        context.inbox.propose("a wish of its own")  # the first experiment takes this one
        context.inbox.propose("c1-001.2")
        await campaign.run(context)
    (second,) = (text_of(r) for r in requests if role_of(r) == ("Researcher", 2))
    assert "- Proposed by the user: Take up the idea [c1-001.2] idea_3, from c1-linear: a floor number 3 Why:" in second
    told = [e.text for e in heard if isinstance(e, Notice)]
    assert any("Not chosen, kept as ideas: c1-001.1 idea_2, c1-001.2 idea_3" in text for text in told)

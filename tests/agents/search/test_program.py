"""The search's roles for programs: random edits, written, taken back, and what it says that it cannot do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from move37.agents.errors import ModelReplyInvalid
from move37.agents.messages import Opening
from move37.agents.replies import Code, Critique, Fix, Proposals
from move37.agents.research_context import ParentFacts, TaskCard
from move37.agents.search.program_edits import END, START
from move37.lab.records import COMBINED_SCORE
from move37.lab.tasks.program import ProgramTask
from move37.memory.records import DeadEnd, Newness, Posterior, Precedent
from tests.agents.search import views
from tests.agents.search.test_program_edits import CIRCLES, PROGRAM, outside
from tests.agents.search.views import ask, known, refused, with_plan


def start(source: str = PROGRAM) -> ParentFacts:
    return ParentFacts(id="c1-start", name="start", family="program", is_baseline=True, source=source)


def opening(**changes: Any) -> Opening:
    fields: dict[str, Any] = {"number": 1, "seed": 0, "parents": (start(),)}
    return views.opening(task=TaskCard(name="program:circles", metric=COMBINED_SCORE), **(fields | changes))


def agreed(offer: Proposals) -> Opening:
    return opening(hypothesis=offer.ideas[0].hypothesis(base="c1-start", author="Researcher"))


def test_the_plan_of_the_researcher_is_what_the_engineer_writes() -> None:
    offer = ask(Proposals, opening())
    (idea,) = offer.ideas
    assert "all it can do" in idea.motivation and "c1-start" in idea.change and idea.base == "c1-start"
    code = ask(Code, agreed(offer))
    assert code.source != PROGRAM and outside(code.source) == outside(PROGRAM)
    assert ProgramTask.open(CIRCLES)._text_problem(code.source) == ""


def test_the_critic_tells_edits_apart_by_their_plan_and_not_by_their_words() -> None:
    offer = ask(Proposals, opening())
    twin = Newness(nearest=(Precedent(key="c1-1", kind="analysis", name="x", similarity=0.99),))
    dead = DeadEnd(posterior=Posterior(mean=-1.0, error=0.1, count=9.0))
    assert ask(Critique, opening(), offer, known(offer, twin, dead)).accept
    tried = ask(Critique, opening(tried_plans=(offer.ideas[0].plan,)), offer)
    assert not tried.accept and tried.ground == "novelty"


def test_no_plan_comes_twice() -> None:
    plans: list[str] = []
    for number in range(30):
        (idea,) = ask(Proposals, opening(number=number, tried_plans=tuple(plans))).ideas
        assert idea.plan not in plans
        plans.append(idea.plan)


def test_a_region_without_anything_to_change_is_said() -> None:
    offer = ask(Proposals, opening(parents=(start(f"{START}\n{END}\n"),)))
    assert offer.drop and "nothing" in offer.ideas[0].name


def test_the_debugger_takes_edits_back_and_then_gives_up() -> None:
    for number in range(60):
        offer = ask(Proposals, opening(number=number))
        if offer.ideas[0].change.count(";") == 2:
            break
    sources = [ask(Code, agreed(offer)).source]
    for _ in range(4):
        fix = ask(Fix, agreed(offer), refused(sources[-1], "import"))
        if fix.give_up:
            break
        assert fix.source not in sources
        sources.append(fix.source)
    assert fix.give_up and len(sources) >= 2


def test_a_plan_of_somebody_else_is_not_written() -> None:
    offer = with_plan(ask(Proposals, opening()), '{"edits": [{"kind": "rewrite"}]}')
    with pytest.raises(ModelReplyInvalid, match="no plan of edits"):
        ask(Code, agreed(offer))


def test_a_user_is_told_what_it_cannot_do() -> None:
    assert "I can only change numbers" in ask(Proposals, opening(), "use a hexagon").to_person


def test_the_kinds_of_edits_that_a_user_names_are_drawn_and_those_ruled_out_are_not() -> None:
    preference = ("please swap statements, no numbers",)
    asked = [ask(Proposals, opening(number=n, proposals=preference)) for n in range(12)]
    assert "swap" in asked[0].to_person and "do not want literal" in asked[0].to_person
    plans = [idea.plan for offer in asked for idea in offer.ideas]
    kinds = [edit["kind"] for plan in plans if plan for edit in json.loads(plan)["edits"]]
    assert kinds.count("swap") > len(kinds) / 2 and "literal" not in kinds

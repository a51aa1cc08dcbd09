"""What the lab says to a proposal: how new it is by its operators, or why it cannot be judged as it was written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from move37.agents import precedents
from move37.agents.messages import Opening, Precedents
from move37.agents.rendering import render, request
from move37.agents.replies import BASES
from move37.agents.research_context import ParentFacts
from move37.agents.search.codegen import emit, operators_of
from move37.agents.search.grammar import BASELINES
from move37.agents.search.operators import put
from move37.app.mcp.declared_tools import PROPOSE
from move37.lab.records import Candidate, Experiment, ExperimentStatus, Hypothesis, Role
from move37.memory.errors import MemoryUnavailable
from move37.memory.records import DeadEnd
from tests.agents.contexts import Remembered
from tests.agents.scripted import a_proposal, offered
from tests.agents.search.views import opening


def an_experiment(ident: str, **changes: Any) -> Experiment:
    fields: dict[str, Any] = {
        "id": ident,
        "campaign": 1,
        "number": 1,
        "role": Role.CANDIDATE,
        "status": ExperimentStatus.MEASURED,
        "candidate": Candidate(source=emit(BASELINES["gla"], name="gla"), author="x"),
    }
    return Experiment(**(fields | changes))


BASELINE = an_experiment("c1-gla", role=Role.BASELINE, name="gla")
HYPOTHESIS: Hypothesis = a_proposal(change="A learned floor!").hypothesis(base="c1-gla", author="")
TRIED = an_experiment("c1-001", hypothesis=HYPOTHESIS)
UNWRITTEN = an_experiment("c1-003", candidate=None)
KNOWN = [BASELINE, TRIED, UNWRITTEN]


@pytest.mark.parametrize(
    "changes, word",
    [
        ({"base": ""}, "names no base"),
        ({"base": "c1-999"}, "'c1-999' does not exist"),
        ({"base": "c1-003"}, "has no file"),
        ({"cites": ["2312.06635", "c1-404"]}, "cites c1-404, which does not exist"),
        ({"second": "c1-404"}, "cites c1-404"),
        ({"second": "c1-003"}, "c1-003 has no file"),
        ({"idea": "c1-001.9"}, "no idea 'c1-001.9'"),
        ({"change": "a LEARNED floor"}, "c1-001 (floor_on_decay) proposed the same change"),
    ],
)
def test_what_cannot_be_judged_gets_a_sentence(changes: Any, word: str) -> None:
    idea = a_proposal(**({"base": "gla", "change": "something new"} | changes))
    assert any(word in problem for problem in precedents.complaints(idea, KNOWN, pool=()))


DEAD = dict.fromkeys((ExperimentStatus.FAILED, ExperimentStatus.REJECTED), "name what it was made from, c1-gla")
SAYS = dict.fromkeys(ExperimentStatus, "") | DEAD | {ExperimentStatus.RUNNING: "still being tried"}


@pytest.mark.parametrize("status", ExperimentStatus)
def test_a_base_has_a_number_or_the_proposer_hears_what_to_name_instead(status: ExperimentStatus) -> None:
    """Also where a repair of a repair is built on: what has no number is followed to what has one."""
    one = an_experiment("c1-004", status=status, reason="gate shape: no", hypothesis=HYPOTHESIS)
    other = an_experiment("c1-005", status=status, hypothesis=replace(HYPOTHESIS, base="c1-004", change="a repair"))
    for base in ("c1-004", "c1-005"):
        idea = a_proposal(base=base, change="something new")
        problems = precedents.complaints(idea, [*KNOWN, one, other], pool=())
        assert [SAYS[status] in p for p in problems] == [True] * bool(SAYS[status]), problems
        assert (base in precedents.resolved([*KNOWN, one, other])) is not bool(problems)


@pytest.mark.parametrize("status", ExperimentStatus)
def test_a_baseline_that_failed_is_no_base_and_an_earlier_campaigns_stands_for_it(status: ExperimentStatus) -> None:
    newest = replace(BASELINE, id="c2-gla", campaign=2, status=status)
    failed = status in DEAD
    assert precedents.resolved([BASELINE, newest])["gla"] == ("c1-gla" if failed else "c2-gla")
    assert bool(precedents.unfit("gla", [newest])) is failed
    assert precedents.unfit("gla", [BASELINE, newest]) == ""


def test_whoever_proposes_reads_the_rule_in_the_same_words() -> None:
    """A language model and the seat in the Researcher's prompt, an MCP client in the tool and in its page."""
    page = (Path(__file__).parents[2] / "docs/mcp.md").read_text()
    for words in (request(opening().context, "Researcher"), PROPOSE, page):
        assert BASES in words


def test_the_engineer_is_shown_the_file_that_is_repaired_or_crossed_with() -> None:
    context = replace(opening().context, parents=(facts("c1-gla", "a = 1"), facts("c1-004", "a = 'refused'")))
    rendered = render(context, "Engineer", budget=6_000, count=len)
    assert "a = 'refused'" in rendered.text


def test_bases_of_several_campaigns_are_listed_once() -> None:
    again = [replace(e, id=e.id.replace("c1-", "c2-"), campaign=2) for e in KNOWN]
    (problem,) = precedents.complaints(a_proposal(base="", change="something new"), [*KNOWN, *again], pool=())
    assert problem.count("gla") == 1


def test_a_base_may_be_called_by_its_id_or_a_baselines_name() -> None:
    for base in ("gla", "c1-gla", "c1-001"):
        idea = a_proposal(base=base, change="something new", cites=["2312.06635", "c1-001"])
        assert precedents.complaints(idea, KNOWN, pool=()) == []


def facts(ident: str, source: str) -> ParentFacts:
    return ParentFacts(id=ident, name="x", family="gla", is_baseline=False, source=source)


class Asked(Remembered):
    """Keeps what it was asked about dead ends."""

    async def is_dead_end(self, text: str, **how: Any) -> DeadEnd:
        self.how = how
        return DeadEnd()


async def answered(memory: Any, *ideas: Any) -> Precedents:
    given: Opening = opening()
    return await precedents.answer(given, offered(*ideas), memory=memory, experiments=KNOWN, operators_of=operators_of)


async def test_memory_is_asked_by_what_the_plan_changes_in_its_base() -> None:
    from random import Random

    genome = put("rotary", BASELINES["gla"], Random(0))
    assert genome is not None
    memory = Asked()
    found = await answered(memory, a_proposal(base="gla", change="rotary", plan=genome.to_json()))
    assert memory.how["gained"] == ("rotary",) and memory.how["lost"] == () and not found.problems
    await answered(memory, a_proposal(base="gla", change="prose alone"))
    assert memory.how["gained"] == memory.how["lost"] == ()


async def test_a_memory_that_is_gone_leaves_the_critic_without_precedents_and_not_without_a_turn() -> None:
    class Gone(Remembered):
        async def is_new(self, text: str, **_: Any) -> Any:
            raise MemoryUnavailable("the server is gone")

    found = await answered(Gone(), a_proposal(base="gla", change="something"))
    assert not found.problems and found.ideas[0].newness.similarity == 0.0


async def test_every_idea_gets_its_own_precedents() -> None:
    ideas = [a_proposal(name=f"idea_{n}", base="gla", change=f"change {n}") for n in range(3)]
    assert [p.idea for p in (await answered(Remembered(), *ideas)).ideas] == ["idea_0", "idea_1", "idea_2"]
    assert "no idea" in (await answered(Remembered())).problems[0]

"""Programs without a language model: only numbers and statements of the region change, and the file stays Python."""

from __future__ import annotations

import ast
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

import pytest
from autogen_core.models import LLMMessage, SystemMessage, UserMessage
from hypothesis import given, settings
from hypothesis import strategies as st

import move37.lab.tasks
from move37.agents.dossier import Dossier, block
from move37.agents.errors import ModelReplyInvalid
from move37.agents.models import open_model
from move37.agents.models.designer.literals import END, START, apply, mutate, region
from move37.agents.replies import Code, Critique, Fix, Proposal
from move37.lab.tasks.program import ProgramTask

CIRCLES = Path(move37.lab.tasks.__file__).parent / "examples" / "circles"
PROGRAM = (CIRCLES / "initial_program.py").read_text()
TABS = f'''"""Ünïcode before the region: 0.5"""
OUTSIDE = 0.25
{START}
def f(x):
    """Doc 1.5"""
    größe = 0.5 * x  # a comment, 7
    if x: y = 1
    größe += 2; größe -= 1
    for i in range(3):
        größe += i
    return größe
{END}
print(f(1.0))
'''


def outside(text: str) -> tuple[str, str]:
    span = region(text)
    assert span is not None
    return text[: span[0]], text[span[1] :]


@pytest.mark.parametrize("program", [PROGRAM, TABS], ids=["circles", "awkward"])
def test_edits_stay_in_the_region_and_leave_the_rest_byte_for_byte(program: str) -> None:
    kinds: Counter[str] = Counter()
    for seed in range(120):
        rng, text = Random(seed), program
        for _ in range(3):
            edit = mutate(text, rng)
            if edit is not None:
                changed = apply(text, [edit])
                assert changed is not None and changed != text
                ast.parse(changed)
                assert outside(changed) == outside(program)
                kinds[edit.kind] += 1
                text = changed
    assert set(kinds) == {"literal", "delete", "copy", "swap"}


@given(st.text(max_size=200), st.integers(min_value=0, max_value=1000))
@settings(max_examples=200, deadline=None)
def test_no_region_breaks_it(body: str, seed: int) -> None:
    text = f"{START}\n{body}\n{END}\n"
    edit = mutate(text, Random(seed))
    if edit is not None:
        changed = apply(text, [edit])
        assert changed is not None
        ast.parse(changed)


def test_an_edit_does_not_fit_another_text() -> None:
    edit = mutate(PROGRAM, Random(1))
    assert (edit is not None and apply(PROGRAM.replace("0.26", "0.2600001"), [edit]) is None) or edit.kind != "literal"
    assert apply("nothing here", [edit]) is None  # type: ignore[list-item]


def test_numbers_of_a_line_without_change_of_meaning_are_left() -> None:
    still = f"{START}\n{END}\n"
    assert all(mutate(still, Random(seed)) is None for seed in range(50))


async def ask(form: type[Any], *dossiers: Dossier) -> Any:
    messages: list[LLMMessage] = [UserMessage(content=block(d), source="Lab") for d in dossiers]
    result = await open_model("designer").create([SystemMessage(content="x"), *messages], json_output=form)
    return form.model_validate_json(str(result.content))


def opening(**changes: Any) -> Dossier:
    parent = {"id": "c1-start", "role": "baseline", "family": "program", "name": "start", "source": PROGRAM}
    facts: dict[str, Any] = {
        "task": "program",
        "seed": 0,
        "number": 1,
        "metric": "combined_score",
        "higher_is_better": True,
        "parents": [parent | {"value": 1.0, "effect": 0.0}],
        "tried_plans": [],
    }
    return Dossier(**(facts | changes))  # type: ignore[typeddict-item]


async def test_the_plan_of_the_researcher_is_what_the_engineer_writes() -> None:
    proposal = await ask(Proposal, opening())
    assert "all it can do" in proposal.motivation and "c1-start" in proposal.change
    code = await ask(Code, opening(), Dossier(hypothesis=asdict(proposal.hypothesis())))
    assert code.source != PROGRAM and outside(code.source) == outside(PROGRAM)
    assert ProgramTask.open(CIRCLES)._text_problem(code.source) == ""


async def test_the_critic_tells_edits_apart_by_their_plan_and_not_by_their_words() -> None:
    proposal = await ask(Proposal, opening())
    alike = Dossier(nearest_own="c1-1", newness_similarity=0.99, dead_end_evidence=0.99)
    ctx = opening(hypothesis=asdict(proposal.hypothesis()))
    assert (await ask(Critique, ctx, alike)).accept
    tried = await ask(Critique, opening(tried_plans=[proposal.plan]), Dossier(hypothesis=ctx["hypothesis"]))
    assert not tried.accept and tried.ground == "novelty"


async def test_no_plan_comes_twice() -> None:
    plans: list[str] = []
    for number in range(30):
        proposal = await ask(Proposal, opening(number=number, tried_plans=plans))
        assert proposal.plan not in plans
        plans.append(proposal.plan)


async def test_a_region_without_anything_to_change_is_said() -> None:
    empty = opening()["parents"][0] | {"source": f"{START}\n{END}\n"}
    proposal = await ask(Proposal, opening(parents=[empty]))
    assert proposal.drop and "nothing" in proposal.name


async def test_the_debugger_takes_edits_back_and_then_gives_up() -> None:
    for number in range(60):
        proposal = await ask(Proposal, opening(number=number))
        if proposal.change.count(";") == 2:
            break
    written = Dossier(hypothesis=asdict(proposal.hypothesis()))
    code = await ask(Code, opening(), written)
    gate = {"name": "import", "passed": False, "value": 0.0, "limit": 1.0, "message": "NameError", "traceback": ""}
    sources = [code.source]
    for _ in range(4):
        broken = Dossier(source=sources[-1], gates=[gate])  # type: ignore[typeddict-item]
        fix = await ask(Fix, opening(), written, broken)
        if fix.give_up:
            break
        assert fix.source not in sources
        sources.append(fix.source)
    assert fix.give_up and len(sources) >= 2


async def test_a_plan_of_somebody_else_is_not_written() -> None:
    proposal = (await ask(Proposal, opening())).model_copy(update={"plan": '{"edits": [{"kind": "rewrite"}]}'})
    with pytest.raises(ModelReplyInvalid, match="no plan of edits"):
        await ask(Code, opening(), Dossier(hypothesis=asdict(proposal.hypothesis())))


async def test_a_person_is_told_what_it_cannot_do() -> None:
    result = await open_model("designer").create(
        [UserMessage(content=block(opening()), source="Lab"), UserMessage(content="use a hexagon", source="person")],
        json_output=Proposal,
    )
    assert "I can only change numbers" in Proposal.model_validate_json(str(result.content)).to_person


async def test_the_kinds_of_edits_that_a_person_names_are_drawn_and_those_ruled_out_are_not() -> None:
    asked = [await ask(Proposal, opening(number=n, person=["please swap statements, no numbers"])) for n in range(12)]
    assert "swap" in asked[0].to_person and "do not want literal" in asked[0].to_person
    kinds = [edit["kind"] for p in asked if p.plan for edit in json.loads(p.plan)["edits"]]
    assert kinds.count("swap") > len(kinds) / 2 and "literal" not in kinds

"""Principles are revised after a generation: by the record's rule, and by the Analyst where a language model is one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.agents import campaign
from move37.agents.errors import ModelReplyInvalid
from move37.agents.events import Notice
from move37.agents.limits import ConversationLimits
from move37.agents.reflection import revised
from move37.agents.replies import Kept, Principles, Proposals
from move37.lab.archive import principles as stored
from move37.lab.principles import MOST
from move37.lab.records import Principle
from move37.lab.tasks.task import Schedule
from tests.agents.contexts import Arithmetic, Remembered, a_context, a_script
from tests.agents.scripted import a_proposal, offered

EXPERIMENTS = ("c1-001", "c1-002", "c1-003")


def said(text: str, *supports: str, **more: Any) -> Kept:
    return Kept(text=text, supports=list(supports), **more)


def held(ident: str, author: str = "scripted", **more: Any) -> Principle:
    return Principle(id=ident, text="A decay floor helps.", supports=("c1-001",), author=author, **more)


async def test_the_analysts_principles_are_kept_with_history_in_memory_and_in_every_later_context(
    tmp_path: Path,
) -> None:
    memory = Remembered()
    first = Principles(principles=[said("A floor under the decay helps gated models.", "c1-001", "c9-999")])
    second = Principles(principles=[said("A floor helps only short decays.", "c1-002", id="P1")])
    client = a_script(Principles=[first, second])
    context, _ = a_context(tmp_path, client, budget=6, memory=memory)
    await campaign.run(context)
    history = stored.history(context.archive)
    texts = [[p.text for p in revision.principles if p.author == "scripted"] for revision in history]
    assert texts == [["A floor under the decay helps gated models."], ["A floor helps only short decays."]]
    assert history[0].principles[0].supports == ("c1-001",)
    assert [p.text for p in memory.believed if p.id == "P1"][-1] == "A floor helps only short decays."
    later = [texts for kind, texts in client.heard if kind == "Proposals"][-1]
    assert any("A floor under the decay helps gated models." in text for text in later)
    asked = [texts for kind, texts in client.heard if kind == "Principles"]
    assert "c1-001" in asked[0][-1] and "[P1] (yours)" in asked[1][-1] and "c1-005" in asked[1][-1]


async def test_a_resumed_campaign_does_not_reflect_on_the_same_generation_again(tmp_path: Path) -> None:
    client = a_script()
    context, _ = a_context(tmp_path, client, budget=4)
    await campaign.run(context)
    context.archive.update_campaign(1, status="running")
    again, _ = a_context(tmp_path, client, archive=context.archive)
    await campaign.run(again)
    assert sum(kind == "Principles" for kind, _ in client.heard) == 1


async def test_an_analyst_that_cannot_answer_loses_no_principle(tmp_path: Path) -> None:
    client = a_script(Principles=ModelReplyInvalid("never valid"))
    context, events = a_context(tmp_path, client, budget=2)
    assert (await campaign.run(context)).status == "finished"
    assert any(isinstance(e, Notice) and "revised no principle" in e.text for e in events)


async def test_an_experiment_that_was_never_tried_supports_nothing(tmp_path: Path) -> None:
    """Withdrawn before anything ran: it exists, and shows nothing."""
    ideas = [
        offered(a_proposal()),
        Proposals(drop=True),
        offered(a_proposal(name="second_one", change="another floor")),
    ]
    both = Principles(
        principles=[said("A floor helps gated models.", "c1-001", "c1-002"), said("A floor harms them all.", "c1-002")]
    )
    context, _ = a_context(tmp_path, a_script(Proposals=ideas, Principles=both), budget=3, workers=1)
    await campaign.run(context)
    tried = {e.id: bool(e.gates) for e in context.archive.experiments()}
    assert not tried["c1-002"] and tried["c1-001"]
    kept = [p for p in stored.history(context.archive)[0].principles if p.author == "scripted"]
    assert [(p.text, p.supports) for p in kept] == [("A floor helps gated models.", ("c1-001",))]


async def test_reflection_can_be_switched_off(tmp_path: Path) -> None:
    client = a_script()
    context, _ = a_context(tmp_path, client, budget=1, limits=ConversationLimits(reflect=False))
    await campaign.run(context)
    assert not any(kind == "Principles" for kind, _ in client.heard)


def test_what_is_left_out_is_struck_with_a_reason_and_others_principles_stay() -> None:
    before = [held("P1"), held("P2"), held("gla@delta", author="record")]
    reply = Principles(principles=[said("A rewritten sentence.", "c1-002", id="P2")], struck={"P1": "c1-003 says no"})
    after = {p.id: p for p in revised(before, reply, author="scripted", experiments=EXPERIMENTS)}
    assert after["P1"].struck == "c1-003 says no" and after["P2"].text == "A rewritten sentence."
    assert after["gla@delta"] == before[2]


def test_a_model_cannot_rewrite_the_records_principles_or_rest_on_nothing() -> None:
    before = [held("gla@delta", author="record")]
    reply = Principles(
        principles=[said("I know better than this.", "c1-001", id="gla@delta"), said("Because I say so.", "c7-777")]
    )
    after = revised(before, reply, author="scripted", experiments=EXPERIMENTS)
    assert [(p.id, p.author) for p in after] == [("gla@delta", "record"), ("P1", "scripted")]


ids = st.sampled_from(["", "P1", "P2", "gla@delta", "P9"])


@given(st.lists(ids, min_size=1, max_size=20))
def test_no_revision_holds_two_principles_of_one_id_or_too_many(given_ids: list[str]) -> None:
    before = [held("P1"), held("P2"), held("gla@delta", author="record")]
    reply = Principles(principles=[said(f"Sentence number {n}.", "c1-001", id=i) for n, i in enumerate(given_ids)])
    after = revised(before, reply, author="scripted", experiments=EXPERIMENTS)
    assert len({p.id for p in after}) == len(after)
    assert sum(p.author == "scripted" and not p.struck for p in after) == len(given_ids) <= MOST


@given(st.sets(st.sampled_from([f"P{n}" for n in range(1, 30)])), st.integers(1, MOST))
def test_an_id_is_given_once_in_a_home_whoever_had_it_and_whatever_became_of_it(taken: set[str], wanted: int) -> None:
    reply = Principles(principles=[said(f"Sentence number {n}.", "c1-001") for n in range(wanted)])
    after = revised([], reply, author="scripted", experiments=EXPERIMENTS, taken=taken)
    assert len({p.id for p in after}) == wanted and taken.isdisjoint(p.id for p in after)


@pytest.mark.parametrize("said_of", [[], [said("Because I say so.", "c7-777")]])
def test_an_answer_that_holds_nothing_strikes_only_what_it_gives_reasons_against(said_of: list[Kept]) -> None:
    before = [held("P1"), held("P2"), held("gla@delta", author="record")]
    for reasons in ({}, {"P1": "c1-003 says no"}):
        with pytest.raises(ModelReplyInvalid, match="no reason against each of the 2"):
            revised(before, Principles(principles=said_of, struck=reasons), author="scripted", experiments=EXPERIMENTS)
    each = Principles(principles=said_of, struck={"P1": "c1-003 says no", "P2": "so does c1-002"})
    after = revised(before, each, author="scripted", experiments=EXPERIMENTS)
    assert {p.id: p.struck for p in after} == {"gla@delta": "", **each.struck}


async def test_an_empty_answer_is_told_and_a_struck_id_is_not_given_again(tmp_path: Path) -> None:
    first = Principles(principles=[said("A floor under the decay helps gated models.", "c1-001")])
    struck = Principles(struck={"P1": "c1-002 says no"})
    again = Principles(principles=[said("A gate helps models without a floor.", "c1-003")])
    client, limits = a_script(Principles=[first, Principles(), struck, again]), ConversationLimits(reflect_every=2)
    context, events = a_context(tmp_path, client, budget=8, workers=1, task=OneGeneration(), limits=limits)
    await campaign.run(context)
    history = stored.history(context.archive)
    held_by = [[(p.id, bool(p.struck)) for p in r.principles if p.author == "scripted"] for r in history]
    assert held_by == [[("P1", False)], [("P1", True)], [("P2", False)]]
    assert any(isinstance(e, Notice) and "revised no principle: it holds no principle" in e.text for e in events)


class OneGeneration(Arithmetic):
    """Six candidates in one generation, as a quick run has twelve."""

    def schedule(self, preset: str) -> Schedule:
        return replace(super().schedule(preset), generation=6)


def asked_at(client: Any) -> list[int]:
    """How many proposals had been made when the Analyst was asked for principles."""
    kinds = [kind for kind, _ in client.heard]
    return [kinds[:place].count("Proposals") for place, kind in enumerate(kinds) if kind == "Principles"]


async def test_later_experiments_of_one_generation_are_told_what_its_first_ones_taught(tmp_path: Path) -> None:
    first = Principles(principles=[said("A floor under the decay helps gated models.", "c1-001")])
    client = a_script(Principles=[first, first])
    limits = ConversationLimits(reflect_every=2, refusals_tried=0.0)
    context, _ = a_context(tmp_path, client, budget=6, workers=1, task=OneGeneration(), limits=limits)
    await campaign.run(context)
    assert asked_at(client) == [2, 4, 6]
    proposed = [" ".join(texts) for kind, texts in client.heard if kind == "Proposals"]
    assert [("A floor under the decay" in text) for text in proposed] == [False, False, True, True, True, True]
    asked = [texts[-1] for kind, texts in client.heard if kind == "Principles"]
    assert "c1-002" in asked[0] and "c1-003" not in asked[0]
    assert "c1-003" in asked[1] and "- c1-001" not in asked[1]


async def test_the_end_of_a_generation_is_not_reflected_on_twice(tmp_path: Path) -> None:
    client = a_script()
    limits = ConversationLimits(reflect_every=3, refusals_tried=0.0)
    context, _ = a_context(tmp_path, client, budget=6, workers=1, task=OneGeneration(), limits=limits)
    await campaign.run(context)
    assert asked_at(client) == [3, 6]


async def test_a_resumed_campaign_does_not_repeat_what_was_reflected_on_midway(tmp_path: Path) -> None:
    client, limits = a_script(), ConversationLimits(reflect_every=2, refusals_tried=0.0)
    context, _ = a_context(tmp_path, client, budget=6, workers=1, task=OneGeneration(), limits=limits)
    await campaign.run(context)
    context.archive.update_campaign(1, status="running")
    again, _ = a_context(tmp_path, client, archive=context.archive, task=OneGeneration(), limits=limits)
    await campaign.run(again)
    assert asked_at(client) == [2, 4, 6]


async def test_within_a_generation_reflection_can_be_switched_off(tmp_path: Path) -> None:
    client, limits = a_script(), ConversationLimits(reflect_every=0, refusals_tried=0.0)
    context, _ = a_context(tmp_path, client, budget=6, workers=1, task=OneGeneration(), limits=limits)
    await campaign.run(context)
    assert asked_at(client) == [6]

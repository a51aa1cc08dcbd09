"""Turn-taking is a pure function of what was answered."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from move37.agents.messages import Precedents
from move37.agents.replies import Critique, Proposals, RankedIdea
from move37.agents.team import MOST_CORRECTIONS, negotiation, settled, single
from tests.agents.scripted import a_proposal, a_report, accepted, objection, offered

answers = st.lists(st.sampled_from(["accept", "object", "propose", "drop"]), max_size=12)


@given(answers, st.integers(0, 4))
def test_a_negotiation_always_ends_within_its_rounds(script: list[str], rounds: int) -> None:
    """Whatever is said, the stage is over within its rounds and the lab's corrections."""
    turn = negotiation(rounds)
    replies: list[Any] = []
    moods = iter(script + ["propose", "object"] * 20)
    while (speaker := turn(replies)) is not None:
        mood = next(moods)
        if speaker == "Lab":
            replies.append(Precedents(problems=("no base",) if mood == "drop" else ()))
        elif speaker == "Researcher":
            replies.append(offered(a_proposal(), drop=mood == "drop"))
        else:
            replies.append(accepted() if mood == "accept" else objection())
    assert len(replies) <= 3 * (rounds + 1) + 2 * (MOST_CORRECTIONS + 1)
    end = settled(replies)
    assert end.accepted == (isinstance(replies[-1], Critique) and replies[-1].accept)
    assert bool(end.reason) != end.accepted
    offers = [n for n, r in enumerate(replies) if isinstance(r, Proposals)]
    later = [r for r in replies[offers[-1] :] if isinstance(r, Critique)]
    assert end.critique is (later[-1] if later else None), "a Critic is held to what it has seen"


def test_the_lab_and_then_the_critic_answer_every_proposal() -> None:
    assert negotiation(2)([offered(a_proposal())]) == "Lab"
    assert negotiation(2)([offered(a_proposal()), Precedents()]) == "Critic"


def test_a_stage_for_one_ends_with_its_answer() -> None:
    turn = single("Analyst")
    assert turn([]) == "Analyst" and turn([a_report()]) is None


def test_the_last_proposal_counts() -> None:
    end = settled([offered(a_proposal(name="first")), objection(), offered(a_proposal(name="second")), accepted()])
    assert end.proposal.name == "second" and end.accepted


def test_a_ranking_of_ideas_that_were_not_proposed_changes_nothing() -> None:
    ranking = [RankedIdea(name="invented", reason="I like it"), RankedIdea(name="second", reason="cheap")]
    end = settled([offered(a_proposal(name="first"), a_proposal(name="second")), accepted(ranking=ranking)])
    assert end.proposal.name == "second" and [idea.name for idea, _ in end.others] == ["first"]

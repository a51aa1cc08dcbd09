"""Turn-taking is a pure function of what was answered."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from move37.agents.replies import Critique, Proposal
from move37.agents.team import negotiation, settled, single
from tests.agents.scripted import a_proposal, a_report, accepted, objection

answers = st.lists(st.sampled_from(["accept", "object", "propose", "drop"]), max_size=12)


@given(answers, st.integers(0, 4))
def test_a_negotiation_always_ends_within_its_rounds(script: list[str], rounds: int) -> None:
    """Whatever the two say, the stage is over after at most 2 * (rounds + 1) turns."""
    turn, replies = negotiation(rounds), []
    moods = iter(script + ["propose", "object"] * 20)
    while (speaker := turn(replies)) is not None:
        mood = next(moods)
        if speaker == "Researcher":
            replies.append(a_proposal(drop=mood == "drop"))
        else:
            replies.append(accepted() if mood == "accept" else objection())
    assert len(replies) <= 2 * (rounds + 1)
    _, agreed, reason = settled(replies)
    assert agreed == (isinstance(replies[-1], Critique) and replies[-1].accept) and bool(reason) != agreed


def test_the_critic_answers_every_proposal() -> None:
    assert negotiation(2)([a_proposal()]) == "Critic"


def test_a_stage_for_one_ends_with_its_answer() -> None:
    turn = single("Analyst")
    assert turn([]) == "Analyst" and turn([a_report()]) is None


def test_the_last_proposal_counts() -> None:
    proposal, agreed, _ = settled([a_proposal(name="first"), objection(), a_proposal(name="second"), accepted()])
    assert isinstance(proposal, Proposal) and proposal.name == "second" and agreed

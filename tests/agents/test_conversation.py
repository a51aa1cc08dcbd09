"""A stage is a real AutoGen group chat: turn-taking, the person's chair, saved state, and what a failure leaves."""

from __future__ import annotations

from typing import Any

import pytest

from move37.agents.conversation import Conversation, Utterance
from move37.agents.errors import ConversationBroken, ModelReplyInvalid
from move37.agents.inbox import Inbox
from move37.agents.metering import Metered
from move37.agents.replies import Critique, Proposal
from move37.agents.roles import MEMBERS
from move37.agents.team import negotiation, settled, single
from tests.agents.scripted import Scripted, a_proposal, a_report, accepted, objection, some_code


async def _free() -> None:
    return None


def a_conversation(client: Scripted, inbox: Inbox | None = None, **more: Any) -> tuple[Conversation, list[Utterance]]:
    said: list[Utterance] = []
    clients = {m.name: Metered(client, before=_free, after=lambda *_: None) for m in MEMBERS}
    talk = Conversation(
        clients,
        system=lambda role: f"You are {role}.",
        inbox=inbox or Inbox(),
        on_utterance=lambda stage, utterance: said.append(utterance),
        **more,
    )
    return talk, said


async def test_an_accepted_hypothesis_takes_two_turns() -> None:
    talk, said = a_conversation(Scripted(Proposal=a_proposal(), Critique=accepted()))
    proposal, agreed, _ = settled(await talk.hold("open", negotiation(2)))
    assert agreed and proposal.name == "floor_on_decay"
    assert [(u.source, u.to) for u in said] == [("Researcher", "Critic"), ("Critic", "Lab")]


async def test_an_objection_reaches_the_researcher_who_revises() -> None:
    client = Scripted(
        Proposal=[a_proposal(), a_proposal(name="another_floor")],
        Critique=[objection(reason="Tried in c1-007."), accepted()],
    )
    talk, said = a_conversation(client)
    proposal, agreed, _ = settled(await talk.hold("open", negotiation(2)))
    assert agreed and proposal.name == "another_floor"
    second = [texts for kind, texts in client.heard if kind == "Proposal"][1]
    assert any("c1-007" in text for text in second)
    assert [u.source for u in said] == ["Researcher", "Critic", "Researcher", "Critic"]


@pytest.mark.parametrize("rounds", [0, 1, 3])
async def test_a_negotiation_ends_after_its_rounds(rounds: int) -> None:
    talk, _ = a_conversation(Scripted(Proposal=a_proposal(), Critique=objection()))
    replies = await talk.hold("open", negotiation(rounds))
    assert sum(isinstance(r, Critique) for r in replies) == rounds + 1
    _, agreed, reason = settled(replies)
    assert not agreed and "novelty" in reason


async def test_a_dropped_hypothesis_ends_the_negotiation() -> None:
    client = Scripted(Proposal=[a_proposal(), a_proposal(drop=True)], Critique=objection())
    talk, _ = a_conversation(client)
    replies = await talk.hold("open", negotiation(3))
    assert isinstance(replies[-1], Proposal) and settled(replies)[2].startswith("dropped")


async def test_a_line_typed_before_a_turn_is_heard_by_the_next_speaker_and_answered() -> None:
    inbox = Inbox()
    client = Scripted(Proposal=a_proposal(to_person="I will try decays."), Critique=accepted())
    talk, said = a_conversation(client, inbox)
    inbox.say("please try decays", source="Ada")
    await talk.hold("open", negotiation(2))
    assert [(u.source, u.to, u.text) for u in said if u.person] == [("Ada", "Researcher", "please try decays")]
    assert any("please try decays" in text for text in client.heard[0][1])
    assert ("Researcher", "person", "I will try decays.") in [(u.source, u.to, u.text) for u in said]


async def test_a_line_typed_during_a_turn_is_heard_at_the_next_one() -> None:
    inbox = Inbox()

    def while_thinking(_: object) -> Proposal:
        inbox.say("mind the parameters")
        return a_proposal()

    client = Scripted(Proposal=while_thinking, Critique=accepted(to_person="I do."))
    talk, said = a_conversation(client, inbox)
    await talk.hold("open", negotiation(2))
    assert [u.source for u in said] == ["Researcher", "person", "Critic", "Critic"]
    assert any("mind the parameters" in text for text in client.heard[1][1])


async def test_two_conversations_never_hear_the_same_line() -> None:
    inbox = Inbox()
    inbox.say("once")
    said: list[Utterance] = []
    for _ in range(2):
        talk, heard = a_conversation(Scripted(Code=some_code()), inbox)
        await talk.hold("open", single("Engineer"))
        said += heard
    assert sum(u.person for u in said) == 1


async def test_the_state_of_a_stage_is_known_in_the_next_one_and_after_a_restart() -> None:
    client = Scripted(Proposal=a_proposal(name="remember_me"), Critique=accepted(), Report=a_report())
    talk, _ = a_conversation(client)
    await talk.hold("open", negotiation(2))
    again, _ = a_conversation(client, state=talk.state)
    await again.hold("numbers", single("Analyst"))
    kind, texts = client.heard[-1]
    assert kind == "Report" and any("remember_me" in text for text in texts)


async def test_the_real_cause_of_a_failure_is_raised_and_the_table_can_be_used_again() -> None:
    client = Scripted(Proposal=[ModelReplyInvalid("never valid", "{"), a_proposal()], Critique=accepted())
    talk, _ = a_conversation(client)
    with pytest.raises(ModelReplyInvalid, match="never valid"):
        await talk.hold("open", negotiation(2))
    assert settled(await talk.hold("open", negotiation(2)))[1]


async def test_an_unknown_failure_is_a_broken_conversation() -> None:
    talk, _ = a_conversation(Scripted(Proposal=OSError("gone"), Critique=accepted()))
    with pytest.raises(ConversationBroken, match="gone"):
        await talk.hold("open", negotiation(2))

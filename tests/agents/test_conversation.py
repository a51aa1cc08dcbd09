"""A stage is a real AutoGen group chat: turn-taking, the person's chair, saved state, and what a failure leaves."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import replace
from typing import Any

import pytest

from move37.agents import conversation
from move37.agents.conversation import Conversation
from move37.agents.errors import ConversationBroken, ModelReplyInvalid
from move37.agents.inbox import Inbox
from move37.agents.language_model import LanguageModel
from move37.agents.messages import Opening, Precedents, Results
from move37.agents.replies import Critique, Proposal, Proposals, RankedIdea
from move37.agents.research_context import ResearchContext, TaskCard
from move37.agents.roles import MEMBERS, RoleContext
from move37.agents.team import negotiation, settled, single
from move37.lab.archive.message import Message
from move37.lab.records import BITS_PER_BYTE
from tests.agents.scripted import Scripted, a_proposal, a_report, accepted, objection, offered, some_code

CONTEXT = ResearchContext(
    experiment="c1-001", number=1, seed=0, task=TaskCard(name="mixers", metric=BITS_PER_BYTE, contract="A Mixer.")
)
OPEN = [Opening(context=CONTEXT)]


async def _free() -> None:
    return None


async def nothing_known(opening: Opening, proposals: Proposals) -> Precedents:
    return Precedents()


def a_conversation(
    client: Scripted, inbox: Inbox | None = None, answer: Any = nothing_known
) -> tuple[Conversation, list[Message]]:
    said: list[Message] = []
    talk = Conversation(inbox=inbox or Inbox(), on_message=said.append, answer=answer)
    for member in MEMBERS:
        role = RoleContext(
            member=member,
            number=1,
            task=CONTEXT.task,
            stage=lambda: talk.stage,
            before=_free,
            after=lambda _: None,
            failed=talk.failed,
        )
        talk.join(LanguageModel(client, signature="scripted").agent_factory(role))
    return talk, said


class Silent(Scripted):
    """Never answers; hears of a cancellation in the way named, or not at all."""

    def __init__(self, hears: str) -> None:
        super().__init__()
        self.hears, self.asked, self.speaks, self.calls = hears, asyncio.Event(), asyncio.Event(), 0

    async def create(self, *_messages: Any, cancellation_token: Any = None, **_: Any) -> Any:
        self.asked.set()
        self.calls += 1
        never: asyncio.Future[Any] = asyncio.ensure_future(self.speaks.wait())
        if self.hears == "token":
            cancellation_token.link_future(never)
        await (asyncio.shield(never) if self.hears == "nothing" else never)
        return await Scripted(Proposal=a_proposal()).create(*_messages, json_output=Proposals)


@pytest.mark.parametrize("hears", ["token", "its task", "nothing"])
async def test_a_stage_that_is_cancelled_ends_whatever_its_model_hears(
    hears: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "WIND_DOWN", 0.1)
    client = Silent(hears)
    talk, _ = a_conversation(client)
    held = asyncio.create_task(talk.hold(OPEN, negotiation(1)))
    await client.asked.wait()
    held.cancel()
    async with asyncio.timeout(60):
        with pytest.raises(asyncio.CancelledError):
            await held


@pytest.mark.parametrize("hears", ["its task", "nothing"])
async def test_what_a_deaf_speaker_says_in_the_end_is_said_to_nobody_and_breaks_nothing(
    hears: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "WIND_DOWN", 0.1)
    broken: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: broken.append(context))
    client, before = Silent(hears), asyncio.all_tasks()
    talk, said = a_conversation(client)
    held = asyncio.create_task(talk.hold(OPEN, negotiation(1)))
    await client.asked.wait()
    held.cancel()
    await asyncio.wait({held})
    client.speaks.set()
    async with asyncio.timeout(60):
        while asyncio.all_tasks() - before:
            await asyncio.sleep(0.02)
    gc.collect()  # that a task failed is told when it goes
    assert (client.calls, said, broken) == (1, [], [])


async def test_an_accepted_hypothesis_takes_two_turns() -> None:
    talk, said = a_conversation(Scripted(Proposal=a_proposal(), Critique=accepted()))
    end = settled(await talk.hold(OPEN, negotiation(2)))
    assert end.accepted and end.proposal.name == "floor_on_decay"
    assert [(u.source, u.to) for u in said] == [("Researcher", "Critic"), ("Critic", "Lab")]


async def test_an_objection_reaches_the_researcher_who_revises() -> None:
    client = Scripted(
        Proposal=[a_proposal(), a_proposal(name="another_floor")],
        Critique=[objection(reason="Tried in c1-007."), accepted()],
    )
    talk, said = a_conversation(client)
    end = settled(await talk.hold(OPEN, negotiation(2)))
    assert end.accepted and end.proposal.name == "another_floor"
    second = [texts for kind, texts in client.heard if kind == "Proposals"][1]
    assert any("c1-007" in text for text in second)
    assert [u.source for u in said] == ["Researcher", "Critic", "Researcher", "Critic"]


@pytest.mark.parametrize("rounds", [0, 1, 3])
async def test_a_negotiation_ends_after_its_rounds(rounds: int) -> None:
    talk, _ = a_conversation(Scripted(Proposal=a_proposal(), Critique=objection()))
    replies = await talk.hold(OPEN, negotiation(rounds))
    assert sum(isinstance(r, Critique) for r in replies) == rounds + 1
    end = settled(replies)
    assert not end.accepted and "novelty" in end.reason


async def test_a_dropped_hypothesis_ends_the_negotiation() -> None:
    client = Scripted(Proposals=[offered(a_proposal()), offered(a_proposal(), drop=True)], Critique=objection())
    talk, _ = a_conversation(client)
    replies = await talk.hold(OPEN, negotiation(3))
    assert isinstance(replies[-1], Proposals) and settled(replies).reason.startswith("dropped")


async def test_a_line_typed_before_a_turn_is_heard_by_the_next_speaker_and_answered() -> None:
    inbox = Inbox()
    client = Scripted(Proposals=offered(a_proposal(), to_person="I will try decays."), Critique=accepted())
    talk, said = a_conversation(client, inbox)
    inbox.say("please try decays", source="Ada")
    await talk.hold(OPEN, negotiation(2))
    assert [(u.source, u.to, u.text) for u in said if u.user] == [("Ada", "Researcher", "please try decays")]
    assert any("please try decays" in text for text in client.heard[0][1])
    assert ("Researcher", "person", "I will try decays.") in [(u.source, u.to, u.text) for u in said]


async def test_a_line_typed_during_a_turn_is_heard_at_the_next_one() -> None:
    inbox = Inbox()

    def while_thinking(_: object) -> Proposal:
        inbox.say("mind the parameters")
        return a_proposal()

    client = Scripted(Proposal=while_thinking, Critique=accepted(to_person="I do."))
    talk, said = a_conversation(client, inbox)
    await talk.hold(OPEN, negotiation(2))
    assert [u.source for u in said] == ["Researcher", "person", "Critic", "Critic"]
    assert any("mind the parameters" in text for text in client.heard[1][1])


async def test_two_conversations_never_hear_the_same_line() -> None:
    inbox = Inbox()
    inbox.say("once")
    said: list[Message] = []
    for _ in range(2):
        talk, heard = a_conversation(Scripted(Code=some_code()), inbox)
        await talk.hold(OPEN, single("Engineer"))
        said += heard
    assert sum(u.user for u in said) == 1


async def test_a_stage_needs_nothing_of_an_earlier_one() -> None:
    client = Scripted(Proposal=a_proposal(name="remember_me"), Critique=accepted(), Report=a_report())
    talk, _ = a_conversation(client)
    await talk.hold(OPEN, negotiation(2))
    hypothesis = a_proposal(name="remember_me").hypothesis(base="c1-linear", author="Researcher")
    opening = [Opening(context=replace(CONTEXT, hypothesis=hypothesis)), Results()]
    await talk.hold(opening, single("Analyst"))
    kind, texts = client.heard[-1]
    assert kind == "Report" and any("remember_me" in text for text in texts)


async def test_the_lab_sends_back_what_cannot_be_judged_and_the_researcher_hears_why() -> None:
    async def strict(opening: Opening, proposals: Proposals) -> Precedents:
        known = proposals.ideas[0].base == "linear"
        return Precedents(problems=() if known else ("its base 'nowhere' does not exist",))

    client = Scripted(Proposal=[a_proposal(base="nowhere"), a_proposal()], Critique=accepted())
    talk, said = a_conversation(client, answer=strict)
    assert settled(await talk.hold(OPEN, negotiation(2))).accepted
    assert [(u.source, u.to) for u in said] == [
        ("Researcher", "Critic"),
        ("Lab", "Researcher"),
        ("Researcher", "Critic"),
        ("Critic", "Lab"),
    ]
    assert any("'nowhere' does not exist" in text for text in client.heard[1][1])


async def test_what_cannot_be_judged_three_times_is_no_hypothesis() -> None:
    async def never(opening: Opening, proposals: Proposals) -> Precedents:
        return Precedents(problems=("it names no base",))

    talk, _ = a_conversation(Scripted(Proposal=a_proposal(), Critique=accepted()), answer=never)
    end = settled(await talk.hold(OPEN, negotiation(2)))
    assert not end.accepted and "names no base" in end.reason


async def test_several_ideas_are_ranked_and_the_first_is_tried() -> None:
    ranking = [RankedIdea(name="second_one", reason="cheap"), RankedIdea(name="first_one", reason="tried in c1-003")]
    client = Scripted(
        Proposals=offered(a_proposal(name="first_one"), a_proposal(name="second_one")),
        Critique=accepted(ranking=ranking),
    )
    talk, said = a_conversation(client)
    end = settled(await talk.hold(OPEN, negotiation(2)))
    assert end.proposal.name == "second_one"
    assert [(idea.name, why) for idea, why in end.others] == [("first_one", "tried in c1-003")]
    assert "second_one: cheap" in said[-1].text


async def test_the_real_cause_of_a_failure_is_raised_and_the_table_can_be_used_again() -> None:
    client = Scripted(Proposal=[ModelReplyInvalid("never valid", "{"), a_proposal()], Critique=accepted())
    talk, _ = a_conversation(client)
    with pytest.raises(ModelReplyInvalid, match="never valid"):
        await talk.hold(OPEN, negotiation(2))
    assert settled(await talk.hold(OPEN, negotiation(2))).accepted


async def test_an_unknown_failure_is_a_broken_conversation() -> None:
    talk, _ = a_conversation(Scripted(Proposal=OSError("gone"), Critique=accepted()))
    with pytest.raises(ConversationBroken, match="gone"):
        await talk.hold(OPEN, negotiation(2))

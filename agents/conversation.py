"""One experiment's group chat: an AutoGen team per stage, streamed, stored, and rebuilt from its saved state.

All AutoGen quirks live here (measured with 0.7.5): a team is wedged after any exception or cancellation, so every stage
builds a new one and loads the state that the last stage left; termination is checked between turns only, so no training
runs inside a turn; structured messages have to be registered; a stream has to be read to its end.
Read `Conversation.hold` first; then `_Stage` (selector and termination over the same pure function) and `_Person`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autogen_agentchat.agents import AssistantAgent, BaseChatAgent
from autogen_agentchat.base import Response, TerminatedException, TerminationCondition
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    StopMessage,
    StructuredMessage,
    TextMessage,
)
from autogen_agentchat.teams import SelectorGroupChat
from autogen_core import CancellationToken
from autogen_core.memory import Memory
from autogen_core.models import ChatCompletionClient
from pydantic import BaseModel

from move37.agents.errors import AgentError, ConversationBroken
from move37.agents.inbox import Inbox, Said
from move37.agents.metering import Metered
from move37.agents.roles import LAB, MEMBERS, PERSON
from move37.agents.speech import readable
from move37.agents.team import NextSpeaker

Prompter = Callable[[str], str]  # name of a role -> its system prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """Something said in a stage, ready to be stored and shown."""

    source: str
    to: str
    text: str
    at: str = ""  # when a person typed it; empty: now
    person: bool = False


OnUtterance = Callable[[str, Utterance], None]  # stage, what was said


class Conversation:
    """The society at one experiment's table. `state` is JSON text to be stored with the stage."""

    def __init__(
        self,
        clients: Mapping[str, ChatCompletionClient],
        *,
        system: Prompter,
        inbox: Inbox,
        on_utterance: OnUtterance,
        precedents: Memory | None = None,
        state: str | None = None,
    ) -> None:
        self._precedents = precedents
        self._clients = clients
        self._system = system
        self._inbox = inbox
        self._on_utterance = on_utterance
        self._stage = ""
        self.state = state

    def enter(self, stage: str) -> None:
        """What follows belongs to this stage."""
        self._stage = stage

    async def hold(self, opener: str, next_speaker: NextSpeaker) -> tuple[BaseModel, ...]:
        """Open a stage with the lab's words, let the roles speak until `next_speaker` says None; give their replies.

        Raises what a model client raised (`ModelReplyInvalid`, `ModelUnavailable`, `BudgetSpent`), or
        `ConversationBroken`. The saved state is then that of the last stage that ended well.
        """
        stage = _Stage(next_speaker, self._inbox, lambda said: self._on_utterance(self._stage, said))
        team = self._team(stage)
        if self.state:
            await team.load_state(json.loads(self.state))
        try:
            async for item in team.run_stream(task=TextMessage(content=opener, source=LAB)):
                if isinstance(item, BaseChatMessage) and item.source != LAB:
                    stage.heard(item)
        except Exception as error:
            raise self._cause(error) from error
        self.state = json.dumps(await team.save_state())
        return tuple(stage.replies)

    def _team(self, stage: _Stage) -> SelectorGroupChat:
        agents = [
            AssistantAgent(
                member.name,
                self._clients[member.name],
                description=member.description,
                system_message=self._system(member.name),
                output_content_type=member.reply,
                memory=[self._precedents] if self._precedents and member.name == "Critic" else None,
            )
            for member in MEMBERS
        ]
        return SelectorGroupChat(
            [*agents, _Person(stage)],
            model_client=self._clients["Critic"],  # never asked: the selector function always answers
            selector_func=stage.select,
            termination_condition=_StageOver(stage),
            custom_message_types=[StructuredMessage[m.reply] for m in MEMBERS],  # type: ignore[name-defined]
        )

    def _cause(self, error: Exception) -> Exception:
        for client in self._clients.values():
            if isinstance(client, Metered) and client.failure is not None:
                failure, client.failure = client.failure, None
                if isinstance(failure, AgentError):
                    return failure
        return ConversationBroken(f"the conversation broke: {str(error).splitlines()[0] if str(error) else error!r}")


class _Stage:
    """What was answered since the stage opened, and whose turn it is."""

    def __init__(self, next_speaker: NextSpeaker, inbox: Inbox, on_utterance: Callable[[Utterance], None]) -> None:
        self._next = next_speaker
        self._inbox = inbox
        self._on_utterance = on_utterance
        self.replies: list[BaseModel] = []  # as the team's manager has seen them
        self._shown: list[BaseModel] = []  # as the stream has shown them: it may run ahead
        self.claimed: tuple[Said, ...] = ()

    @property
    def over(self) -> bool:
        return self._next(self.replies) is None

    def select(self, _: Sequence[BaseAgentEvent | BaseChatMessage]) -> str:
        # A line is claimed here, so that two conversations never hear the same one.
        speaker = self._next(self.replies) or MEMBERS[0].name
        if self._inbox.waiting(speaker) and (lines := self._inbox.take_lines(speaker)):
            self.claimed = lines
            return PERSON
        return speaker

    def heard(self, message: BaseChatMessage) -> None:
        if message.source == PERSON:
            for said in self.claimed:
                to = self._next(self._shown) or "all"
                self._on_utterance(Utterance(source=said.source, to=to, text=said.text, at=said.at, person=True))
            return
        if isinstance(message, StructuredMessage):
            self._shown.append(message.content)
            to = self._next(self._shown) or LAB
            self._on_utterance(Utterance(source=message.source, to=to, text=readable(message.content)))
            if answer := getattr(message.content, "to_person", ""):
                self._on_utterance(Utterance(source=message.source, to=PERSON, text=answer))
        else:
            self._on_utterance(Utterance(source=message.source, to="all", text=message.to_text()))

    def answered(self, messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> None:
        self.replies += [m.content for m in messages if isinstance(m, StructuredMessage)]


class _StageOver(TerminationCondition):
    """Ends the run when the pure function has nobody left to speak. Sees every turn before the selector does."""

    def __init__(self, stage: _Stage) -> None:
        self._stage = stage
        self._ended = False

    @property
    def terminated(self) -> bool:
        return self._ended

    async def __call__(self, messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> StopMessage | None:
        if self._ended:
            raise TerminatedException("the stage is over")
        self._stage.answered(messages)
        if not self._stage.over:
            return None
        self._ended = True
        return StopMessage(content="the stage is over", source="stage")

    async def reset(self) -> None:
        self._ended = False


class _Person(BaseChatAgent):
    """The person's chair: says what was typed, at the next turn, and never blocks the others."""

    def __init__(self, stage: _Stage) -> None:
        super().__init__(PERSON, "The person who runs the campaign; may speak at any turn.")
        self._stage = stage

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        text = "\n".join(said.text for said in self._stage.claimed)
        return Response(chat_message=TextMessage(content=text, source=self.name))

    async def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[Any, None]:
        yield await self.on_messages(messages, cancellation_token)

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        return None

"""One experiment's group chat: an AutoGen team per stage, streamed and stored.

All AutoGen quirks live here (measured with 0.7.5): a team is wedged after any exception or cancellation, so every stage
builds a new one; termination is checked between turns only, so no training runs inside a turn; structured messages
have to be registered; a stream has to be read to its end. A stage opens with everything that it needs, as typed
messages, so that no state of a team outlives it.
Read `Conversation.hold` first; then `_Stage` (selector and termination over the same pure function) and the two
participants without a role: `_User` and `_Lab`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response, TerminatedException, TerminationCondition
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    StopMessage,
    StructuredMessage,
    TextMessage,
    ToolCallExecutionEvent,
    ToolCallRequestEvent,
)
from autogen_agentchat.teams import SelectorGroupChat
from autogen_core import CancellationToken
from pydantic import BaseModel

from move37.agents.errors import AgentError, ConversationBroken
from move37.agents.formatting import readable, tool_call
from move37.agents.inbox import Inbox
from move37.agents.messages import LAB_MESSAGES, Opening, Precedents
from move37.agents.models.client import Nobody
from move37.agents.replies import Proposals, Reply
from move37.agents.roles import LAB, MEMBERS, USER
from move37.agents.team import NextSpeaker
from move37.lab.archive.message import TOOLS, Message

WIND_DOWN = 10.0  # seconds that a cancelled stage has to end by itself
OnMessage = Callable[[Message], None]  # called with each message; its experiment is not set yet
Answer = Callable[[Opening, Proposals], Awaitable[Precedents]]  # the lab's, to a proposal


class Conversation:
    """The agents' conversation about one experiment."""

    def __init__(self, *, inbox: Inbox, on_message: OnMessage, answer: Answer) -> None:
        self._makers: list[Callable[[], BaseChatAgent]] = []
        self._inbox = inbox
        self._on_message = on_message
        self._answer = answer
        self._failure: Exception | None = None
        self.stage = ""
        self.replies: tuple[BaseModel, ...] = ()  # of the stage that was held last, up to its end or its failure

    def join(self, maker: Callable[[], BaseChatAgent]) -> None:
        """Add a role; `maker` makes a new agent of it for every stage."""
        self._makers.append(maker)

    def enter(self, stage: str) -> None:
        """Begin a stage: later messages belong to it."""
        self.stage = stage

    def interject(self, speaker: str) -> tuple[str, ...]:
        """What users typed while `speaker` spoke, claimed for that turn and stored."""
        lines = self._inbox.take_lines(speaker)
        for line in lines:
            self._on_message(replace(line, to=speaker, stage=self.stage))
        return tuple(line.text for line in lines)

    def tell(self, text: str, *, to: str) -> None:
        """Store and show a message of the lab outside of any turn."""
        self._on_message(Message(source=LAB, to=to, text=text, stage=self.stage))

    def failed(self, error: Exception) -> None:
        """Keep the exception that broke a turn: AutoGen passes on only its text, in a RuntimeError of the team."""
        self._failure = error

    async def hold(self, opening: Sequence[BaseModel], next_speaker: NextSpeaker) -> tuple[BaseModel, ...]:
        """Open a stage with the lab's messages, let the roles speak until `next_speaker` says None; give their replies.

        Raises what a model client raised (`ModelReplyInvalid`, `ModelUnavailable`, `BudgetSpent`), or
        `ConversationBroken`.
        """
        stage = _Stage(next_speaker, self._inbox, lambda said: self._on_message(replace(said, stage=self.stage)))
        self._failure = None
        token = CancellationToken()
        run = asyncio.ensure_future(self._run(stage, [_from_lab(m) for m in opening], token))
        try:
            await asyncio.shield(run)
        except asyncio.CancelledError:
            # A cancelled team waits for its speakers, and one that waits for an answer is ended by the token alone; a
            # speaker that is deaf to it is left behind, for a veto or a stop does not wait for what nobody will read.
            # Its team is left with it and ends when it has spoken: cancelled, AutoGen would take its runtime away.
            stage.cancelled = True
            token.cancel()
            run.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            await asyncio.wait({run}, timeout=WIND_DOWN)
            raise
        except Exception as error:
            raise self._cause(error) from error
        finally:
            self.replies = tuple(stage.replies)
        return self.replies

    async def _run(self, stage: _Stage, task: list[StructuredMessage[Any]], token: CancellationToken) -> None:
        async for item in self._team(stage).run_stream(task=task, cancellation_token=token):
            stage.streamed(item)

    def _team(self, stage: _Stage) -> SelectorGroupChat:
        return SelectorGroupChat(
            [*(make() for make in self._makers), _User(stage), _Lab(self._answer, self.failed)],
            model_client=Nobody(),  # the selector function always answers
            selector_func=stage.select,
            termination_condition=_StageOver(stage),
            custom_message_types=[_typed(kind) for kind in (*(m.reply for m in MEMBERS), *LAB_MESSAGES)],
        )

    def _cause(self, error: Exception) -> Exception:
        if isinstance(self._failure, AgentError):
            return self._failure
        cause = self._failure or error
        return ConversationBroken(f"the conversation broke: {str(cause).splitlines()[0] if str(cause) else cause!r}")


def _typed(content: type[BaseModel]) -> type[StructuredMessage[Any]]:
    return StructuredMessage[content]  # type: ignore[valid-type]


def _from_lab(content: BaseModel) -> StructuredMessage[Any]:
    return _typed(type(content))(content=content, source=LAB)


class _Stage:
    """What was answered since the stage opened, and whose turn it is."""

    def __init__(self, next_speaker: NextSpeaker, inbox: Inbox, on_message: OnMessage) -> None:
        self._next = next_speaker
        self._inbox = inbox
        self._on_message = on_message
        self.replies: list[BaseModel] = []  # as the team's manager has seen them
        self._shown: list[BaseModel] = []  # as the stream has shown them: it may run ahead
        self._asked: dict[str, str] = {}  # id of a tool call -> its arguments
        self.claimed: tuple[Message, ...] = ()
        self.cancelled = False

    @property
    def over(self) -> bool:
        return self.cancelled or self._next(self.replies) is None

    def select(self, _: Sequence[BaseAgentEvent | BaseChatMessage]) -> str:
        # A line is claimed here, so that no two conversations get the same one.
        speaker = self._next(self.replies) or MEMBERS[0].name
        speaker = "Critic" if speaker == LAB else speaker  # lines are never addressed to the lab
        if self._inbox.waiting(speaker) and (lines := self._inbox.take_lines(speaker)):
            self.claimed = lines
            return USER
        return self._next(self.replies) or MEMBERS[0].name

    def streamed(self, item: object) -> None:
        """One item of the team's stream: what is said is shown and stored, and so is every tool call."""
        if isinstance(item, ToolCallRequestEvent):
            self._asked |= {call.id: call.arguments for call in item.content}
        elif isinstance(item, ToolCallExecutionEvent):
            for result in item.content:
                text = tool_call(result.name, self._asked.get(result.call_id, ""), result.content)
                self._on_message(Message(source=item.source, to=TOOLS, text=text))
        elif isinstance(item, StructuredMessage) and isinstance(item.content, Precedents):
            self._shown.append(item.content)
            for problem in item.content.problems:
                self._on_message(Message(source=LAB, to="Researcher", text=problem))
        elif isinstance(item, BaseChatMessage) and item.source != LAB:
            self._heard(item)

    def _heard(self, message: BaseChatMessage) -> None:
        if message.source == USER:
            for said in self.claimed:
                to = self._next(self._shown) or "all"
                to = "Critic" if to == LAB else to
                self._on_message(replace(said, to=to))
        elif isinstance(message, StructuredMessage):
            self._shown.append(message.content)
            to = self._next(self._shown) or LAB
            to = "Critic" if to == LAB and isinstance(message.content, Proposals) and not message.content.drop else to
            self._on_message(Message(source=message.source, to=to, text=readable(message.content)))
            if answer := getattr(message.content, "to_person", ""):
                self._on_message(Message(source=message.source, to=USER, text=answer))

    def answered(self, messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> None:
        """Called with what the team's manager has seen: replies of roles, and the lab's precedents."""
        contents = [m.content for m in messages if isinstance(m, StructuredMessage)]
        self.replies += [c for c in contents if isinstance(c, Reply | Precedents)]


class _StageOver(TerminationCondition):
    """Ends the run when `next_speaker` returns None. AutoGen asks it after every turn, before the selector."""

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


class _Bystander(BaseChatAgent):
    """A participant without a role."""

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage, StructuredMessage[Precedents])

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        return None


class _User(_Bystander):
    """The user as a participant: at the next turn it says what was typed; it never blocks the others."""

    def __init__(self, stage: _Stage) -> None:
        super().__init__(USER, "The user who runs the campaign; may speak at any turn.")
        self._stage = stage

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        text = "\n".join(said.text for said in self._stage.claimed)
        return Response(chat_message=TextMessage(content=text, source=self.name))


class _Lab(_Bystander):
    """Answers each proposal with its precedents, as data."""

    def __init__(self, answer: Answer, failed: Callable[[Exception], None]) -> None:
        super().__init__(LAB, "Says what is known about a proposal.")
        self._answer = answer
        self._failed = failed
        self._opening: Opening | None = None
        self._proposals = Proposals()

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        for message in messages:
            content = message.content if isinstance(message, StructuredMessage) else None
            self._opening = content if isinstance(content, Opening) else self._opening
            self._proposals = content if isinstance(content, Proposals) else self._proposals
        assert self._opening is not None  # every stage opens with one
        try:
            found = await self._answer(self._opening, self._proposals)
        except Exception as error:
            self._failed(error)
            raise
        return Response(chat_message=StructuredMessage[Precedents](content=found, source=LAB))

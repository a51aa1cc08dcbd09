"""The search as agents of a group chat: each hears typed messages and answers with a typed reply.

It contains no language model and signs as a search. It has no state between stages: a draw depends on (campaign seed,
experiment number, round), so that a repeated stage gives the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage, StructuredMessage
from autogen_core import CancellationToken
from pydantic import BaseModel

from move37.agents.errors import ModelReplyInvalid
from move37.agents.replies import Principles
from move37.agents.roles import USER, RoleContext
from move37.agents.search import analyst, critic, engineer, researcher
from move37.agents.search.view import View, view_of

SIGNATURE = "designer (evolutionary search, no language model)"
ANSWERS: Mapping[str, Callable[[View], BaseModel]] = {
    "Researcher": researcher.propose,
    "Critic": critic.critique,
    "Engineer": engineer.implement,
    "Debugger": engineer.repair,
    "Analyst": analyst.analyse,
}


class Search:
    """Fills any of the five roles."""

    signature = SIGNATURE
    uses_language = False
    repairs = True

    def agent_factory(self, role: RoleContext) -> Callable[[], SearchAgent]:
        """A function that makes a new agent; called once a stage."""
        return lambda: SearchAgent(role, ANSWERS[role.member.name])

    async def reflect(self, role: RoleContext, *, principles: Sequence[str], lessons: Sequence[str]) -> Principles:
        """Raises `ModelReplyInvalid`: the search's principles are those of the record's rule."""
        raise ModelReplyInvalid("designer is a search: its principles are kept by the record")

    async def close(self) -> None:
        """Nothing to release."""


class SearchAgent(BaseChatAgent):
    """One role in one stage."""

    def __init__(self, role: RoleContext, answer: Callable[[View], BaseModel]) -> None:
        super().__init__(role.member.name, role.member.description)
        self._role = role
        self._reply = role.member.reply
        self._answer = answer
        self._heard: list[BaseModel | str] = []

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        """The role's own reply."""
        return (StructuredMessage[self._reply],)  # type: ignore[name-defined]

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        """The role's reply to everything heard so far; the same every time."""
        for message in messages:
            if isinstance(message, StructuredMessage):
                self._heard.append(message.content)
            elif message.source == USER:
                self._heard.append(message.to_text())
        try:
            await self._role.before()
            reply = self._answer(view_of(self._heard))
        except Exception as error:
            self._role.failed(error)
            raise
        self._heard.append(reply)
        message = StructuredMessage[self._reply](content=reply, source=self.name)  # type: ignore[name-defined]
        return Response(chat_message=message)

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Forget the stage."""
        self._heard.clear()

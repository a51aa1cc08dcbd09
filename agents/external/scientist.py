"""Roles that an external agent fills: each turn waits in `PendingTurns` until it is answered.

Researcher, Engineer and Analyst are asked. For the others there are fixed answers: the Critic accepts (gates and
numbers judge), and after a promotion the first analysis is kept; no Debugger is asked (the agent can check a file
before it submits). With `every_role` all five are asked: that is `--model seat`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage, StructuredMessage
from autogen_core import CancellationToken
from pydantic import BaseModel

from move37.agents.errors import ModelReplyInvalid
from move37.agents.external.turns import PendingTurns, Turn
from move37.agents.messages import Opening, Results
from move37.agents.replies import Critique, Principles, Report
from move37.agents.roles import RoleContext
from move37.lab.records import Analysis, Stage

Earlier = Callable[[str], Analysis | None]  # experiment -> the analysis that it has


class ExternalScientist:
    """Fills any of the five roles."""

    uses_language = True

    def __init__(self, pending: PendingTurns, *, signature: str, earlier: Earlier, every_role: bool = False) -> None:
        self.pending = pending
        self.signature = signature
        self._earlier = earlier
        self._every_role = every_role
        self.repairs = every_role  # over MCP a file can be checked before it is submitted, and is judged once

    def agent_factory(self, role: RoleContext) -> Callable[[], ExternalAgent]:
        """What makes a fresh agent for each stage."""
        return lambda: ExternalAgent(role, self.pending, earlier=self._earlier, every_role=self._every_role)

    async def reflect(self, role: RoleContext, *, principles: Sequence[str], lessons: Sequence[str]) -> Principles:
        """Never: between generations no external agent is asked. Raises `ModelReplyInvalid`."""
        raise ModelReplyInvalid("nobody outside is asked for principles: they are kept by the record")

    async def close(self) -> None:
        """Nothing is held."""


class ExternalAgent(BaseChatAgent):
    """One role in one stage."""

    def __init__(self, role: RoleContext, pending: PendingTurns, *, earlier: Earlier, every_role: bool) -> None:
        super().__init__(role.member.name, role.member.description)
        self._earlier = earlier
        self._role = role
        self._pending = pending
        self._every_role = every_role
        self._heard: list[BaseModel | str] = []

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        """The role's own reply."""
        return (StructuredMessage[self._role.member.reply],)  # type: ignore[name-defined]

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        """The external agent's answer, or the fixed one where it is not asked."""
        for message in messages:
            self._heard.append(message.content if isinstance(message, StructuredMessage) else message.to_text())
        try:
            await self._role.before()
            reply = self._unasked() or await self._pending.ask(self._turn(), cancellation_token)
        except Exception as error:
            self._role.failed(error)
            raise
        self._heard.append(reply)
        kind = StructuredMessage[self._role.member.reply]  # type: ignore[name-defined]
        return Response(chat_message=kind(content=reply, source=self.name))

    def _turn(self) -> Turn:
        opening = next(m for m in self._heard if isinstance(m, Opening))
        return Turn(
            experiment=opening.context.experiment,
            role=self.name,
            stage=self._role.stage(),
            reply=self._role.member.reply,
            context=opening.context,
            heard=tuple(m for m in self._heard if not isinstance(m, Opening)),
        )

    def _unasked(self) -> BaseModel | None:
        """The fixed answer of a role that is not asked; None: ask."""
        stage = self._role.stage()
        if self.name == "Analyst" and stage.startswith(f"{Stage.ANALYSIS}:"):
            return self._again()
        if self._every_role:
            return None
        if self.name == "Critic":
            return Critique(accept=True, ground="none", reason="proposed from outside: the gates and numbers judge it")
        return None

    def _again(self) -> Report | None:
        """After more seeds or steps the first analysis is repeated with the new numbers; None: there is none yet."""
        opening = next(m for m in self._heard if isinstance(m, Opening))
        first = self._earlier(opening.context.experiment)
        if first is None:
            return None
        results = next((m for m in self._heard if isinstance(m, Results)), None)
        numbers = [f"{m.metric} {m.value:.4g} at {m.steps} steps" for m in results.measurements[-6:]] if results else []
        new = [number for number in numbers if number not in first.seen]  # the earlier ones were told last time
        seen = f"{first.seen} Measured further: {'; '.join(new)}." if new else first.seen
        return Report(
            expected=first.expected,
            seen=seen,
            why=first.why,
            next=first.next,
            lesson=first.lesson,
            symptoms=list(first.symptoms),
        )

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Forget the stage."""
        self._heard.clear()

"""The five roles, named here and nowhere else, and what fills one: a `Scientist` (`Search`, `LanguageModel` or
`ExternalScientist`).

All are agents of the same group chat. Each hears typed messages (messages.py) and answers with a typed reply
(replies.py): propose, critique, implement, repair, analyse. Imports nothing heavy: a command line names roles.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel

from move37.agents.replies import Code, Critique, Fix, Principles, Proposals, Report
from move37.agents.research_context import TaskCard

if TYPE_CHECKING:
    from autogen_agentchat.agents import BaseChatAgent
    from autogen_core.tools import BaseTool

LAB = "Lab"  # the participant that opens each stage and answers proposals with precedents; no model
USER = "person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One role."""

    name: str
    description: str
    reply: type[BaseModel]
    prompt: str  # file in agents/prompts, without .md


MEMBERS = (
    Member(name="Researcher", description="Proposes and revises hypotheses.", reply=Proposals, prompt="researcher"),
    Member(name="Critic", description="Ranks hypotheses, or objects to them.", reply=Critique, prompt="critic"),
    Member(name="Engineer", description="Writes the candidate's code.", reply=Code, prompt="engineer"),
    Member(name="Debugger", description="Changes code that a gate refused.", reply=Fix, prompt="debugger"),
    Member(name="Analyst", description="Explains what was measured.", reply=Report, prompt="analyst"),
)


def member(name: str) -> Member:
    """The role of that name. Raises `StopIteration` for another one."""
    return next(m for m in MEMBERS if m.name == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallUsage:
    """What one model call took."""

    prompt_tokens: int
    completion_tokens: int
    seconds: float  # while the model worked on it
    waited: float = 0.0  # seconds before, for a turn at its server and while that was away
    cached_tokens: int = 0  # of the prompt tokens, as far as the provider says
    attempts: int = 1  # answers; invalid ones were paid for too


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleContext:
    """What the agent of one role is given in one experiment: facts, and callbacks into the campaign."""

    member: Member
    number: int  # of the experiment
    task: TaskCard
    stage: Callable[[], str]  # the stage that is held just now
    before: Callable[[], Awaitable[None]]  # awaited before each model call: waits while paused, raises BudgetSpent
    after: Callable[[CallUsage], None]  # called with the usage of each model call
    failed: Callable[[Exception], None]  # called with the real exception: AutoGen passes on its text alone
    tools: Callable[[], Sequence[BaseTool[Any, Any]]] = tuple  # what it may call, made when asked for
    context_tokens: int | None = None  # of a rendered context; None: by the model
    interruptions: Callable[[], int] = lambda: 0  # how often users have interrupted so far
    interjected: Callable[[], Sequence[str]] = tuple  # what they typed meanwhile, claimed by asking


class Scientist(Protocol):
    """What can fill a role: a language model, the search, or an external agent."""

    @property
    def signature(self) -> str:
        """The name that its messages are signed with."""
        ...

    @property
    def uses_language(self) -> bool:
        """Whether a language model speaks: then several ideas are asked for at once."""
        ...

    @property
    def repairs(self) -> bool:
        """Whether it is asked as the Debugger: else the gates' first word on a file is their last."""
        ...

    def agent_factory(self, role: RoleContext) -> Callable[[], BaseChatAgent]:
        """A function that makes a new agent for this role and experiment; called once a stage."""
        ...

    async def reflect(self, role: RoleContext, *, principles: Sequence[str], lessons: Sequence[str]) -> Principles:
        """The Analyst's revision of the principles after a generation. Raises an `AgentError` when there is none."""
        ...

    async def close(self) -> None:
        """Release its resources."""
        ...

"""What the search reads out of a conversation: facts, earlier replies, and what the person said and nobody answered.

A line of the person is for the next speaker: it is unanswered as long as no agent has spoken after it. What the person
said earlier still weighs (`said`). Blocks are read from the lab's own messages only, so that nobody else can forge one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from autogen_core.models import AssistantMessage, LLMMessage, UserMessage
from pydantic import BaseModel, ValidationError

from move37.agents.dossier import Dossier, newest
from move37.agents.models.client import source_of, text_of
from move37.agents.models.designer.lore import Wishes, recognise
from move37.agents.replies import REPLIES, Critique, Proposal
from move37.agents.roles import LAB, PERSON

SIGNATURE = "designer (evolutionary search, no language model)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One role's view."""

    facts: Dossier
    proposals: tuple[Proposal, ...] = ()  # in order
    critiques: tuple[Critique, ...] = ()
    said: tuple[str, ...] = ()  # everything the person said in this experiment
    unanswered: tuple[str, ...] = ()  # what the speaker now has to answer
    turn: int = 0  # how often this role has spoken in this experiment

    @property
    def is_program(self) -> bool:
        """Whether candidates are programs, not mixers."""
        return self.facts.get("task", "mixers").startswith("program")

    @property
    def objections(self) -> tuple[Critique, ...]:
        """What the Critic did not accept."""
        return tuple(c for c in self.critiques if not c.accept)

    @property
    def wishes(self) -> Wishes:
        """The person's lines, a later one overruling an earlier one."""
        wishes = Wishes()
        for line in self.said:
            wishes = wishes.without(recognise(line))
        return wishes

    @property
    def direction(self) -> Wishes:
        """The brief's words."""
        return recognise(self.facts.get("direction", ""))

    @property
    def plan(self) -> str:
        """The plan of the hypothesis on the table."""
        return str(self.hypothesis.get("plan", ""))

    @property
    def hypothesis(self) -> dict[str, Any]:
        """The hypothesis on the table: the lab's record once there is one, else the newest proposal."""
        stored = self.facts.get("hypothesis")
        if stored:
            return stored
        return self.proposals[-1].model_dump() if self.proposals else {}

    def rng(self, purpose: str) -> Random:
        """The same draws for the same seed, experiment and round."""
        return Random(f"{purpose}:{self.facts.get('seed', 0)}:{self.facts.get('number', 0)}:{self.turn}")


def scene_of(messages: Sequence[LLMMessage]) -> Scene:
    """Read a role's context."""
    facts = newest(text_of(m) for m in messages if source_of(m) == LAB)
    replies = [reply for m in messages if (reply := _reply(m)) is not None]
    turn = sum(isinstance(m, AssistantMessage) for m in messages)
    lines = [text_of(m) for m in messages if _is_person(m)]
    handed_over = list(facts.get("person", []))
    unanswered = _unanswered(messages)
    if turn == 0 and not any(isinstance(reply, Proposal) for reply in replies):
        unanswered = [*handed_over, *unanswered]
    return Scene(
        facts=facts,
        proposals=tuple(r for r in replies if isinstance(r, Proposal)),
        critiques=tuple(r for r in replies if isinstance(r, Critique)),
        said=(*handed_over, *lines),
        unanswered=tuple(unanswered),
        turn=turn,
    )


def _is_person(message: LLMMessage) -> bool:
    return isinstance(message, UserMessage) and message.source == PERSON


def _unanswered(messages: Sequence[LLMMessage]) -> list[str]:
    lines: list[str] = []
    for message in messages:
        if _is_person(message):
            lines.append(text_of(message))
        elif source_of(message) in REPLIES or isinstance(message, AssistantMessage):
            lines.clear()
    return lines


def _reply(message: LLMMessage) -> BaseModel | None:
    if source_of(message) not in REPLIES:
        return None
    try:
        return REPLIES[source_of(message)].model_validate_json(text_of(message))
    except ValidationError:
        return None

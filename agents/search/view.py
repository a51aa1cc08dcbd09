"""The messages of a stage as a role of the search reads them: the lab's facts, replies of roles, the user's lines.

A line of the user is for the next speaker: it is unanswered as long as no role has spoken after it. Earlier lines
still count as preferences (`said`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from pydantic import BaseModel

from move37.agents.messages import Opening, PrecedentFacts, Precedents, Refused, Results
from move37.agents.replies import Critique, Proposal, Proposals
from move37.agents.research_context import ResearchContext
from move37.agents.search.preferences import Preferences, recognise
from move37.lab.parents import draw_key
from move37.lab.principles import WIDTHS
from move37.lab.records import Hypothesis
from move37.lab.statistics.noise import effect_noise

T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One role's view."""

    context: ResearchContext
    offers: tuple[Proposals, ...] = ()  # what the Researcher said, in order
    critiques: tuple[Critique, ...] = ()
    precedents: tuple[PrecedentFacts, ...] = ()  # of the newest proposal
    problems: tuple[str, ...] = ()  # likewise
    refused: Refused | None = None
    results: Results | None = None
    lines: tuple[str, ...] = ()  # of the user, in this stage
    unanswered: tuple[str, ...] = ()  # what the speaker now has to answer

    @property
    def is_program(self) -> bool:
        """Whether candidates are programs, not mixers."""
        return self.context.task.kind == "program"

    @property
    def proposals(self) -> tuple[Proposal, ...]:
        """Every idea that was proposed in this stage, in order."""
        return tuple(idea for offer in self.offers for idea in offer.ideas)

    @property
    def objections(self) -> tuple[Critique, ...]:
        """What the Critic did not accept."""
        return tuple(c for c in self.critiques if not c.accept)

    @property
    def said(self) -> tuple[str, ...]:
        """Everything the user said in this experiment."""
        return (*self.context.proposals, *self.context.said, *self.lines)

    @property
    def preferences(self) -> Preferences:
        """The user's lines, a later one overruling an earlier one."""
        preferences = Preferences()
        for line in self.said:
            preferences = preferences.without(recognise(line))
        return preferences

    @property
    def direction(self) -> Preferences:
        """The brief's words."""
        return recognise(self.context.direction)

    @property
    def hypothesis(self) -> Hypothesis | None:
        """The lab's record once there is one, else the newest proposal."""
        if self.context.hypothesis is not None or not self.proposals:
            return self.context.hypothesis
        newest = self.proposals[-1]
        return newest.hypothesis(base=newest.base, author="")

    @property
    def plan(self) -> str:
        """The plan of that hypothesis."""
        return self.hypothesis.plan if self.hypothesis else ""

    @property
    def metric(self) -> str:
        """The primary metric's name."""
        return self.context.task.metric.name

    @property
    def noise(self) -> float:
        """The standard deviation of a screened effect when nothing was changed, in the metric's unit."""
        effects = [row.effects.parent.value for row in self.context.ledger if row.effects.parent is not None]
        return effect_noise(self.metric, effects)

    @property
    def scale(self) -> float:
        """How large operators' effects are, in the metric's unit: the record's, else the usual one."""
        return self.context.operator_scale or WIDTHS[0] * self.noise

    @property
    def scatter(self) -> float:
        """How far an effect lies from what the record expects, in the metric's unit."""
        return self.context.scatter or self.noise

    @property
    def round(self) -> int:
        """How often this stage's speaker has answered already."""
        return self.refused.candidate.attempt - 1 if self.refused else len(self.offers)

    def rng(self, purpose: str, turn: int = 0) -> Random:
        """The same draws for the same seed, experiment and turn."""
        key = draw_key(self.context.seed, self.context.number, self.context.campaign)
        return Random(f"{purpose}:{key}:{turn}")


def view_of(heard: Sequence[BaseModel | str]) -> View:
    """Read what was heard since the stage opened: messages and replies in order, the user's lines as text.

    Raises `ValueError`: the lab has not opened the stage.
    """
    opening = _last(heard, Opening)
    if opening is None:
        raise ValueError("no stage was opened")
    context, precedents = opening.context, _last(heard, Precedents)
    unanswered: list[str] = []
    replied = False
    for item in heard:
        if isinstance(item, str):
            unanswered.append(item)
        elif not isinstance(item, Opening | Precedents | Refused | Results):
            unanswered.clear()
            replied = True
    if not replied and context.hypothesis is None and _last(heard, Results) is None:
        unanswered = [*context.proposals, *unanswered]
    return View(
        context=context,
        offers=tuple(h for h in heard if isinstance(h, Proposals)),
        critiques=tuple(h for h in heard if isinstance(h, Critique)),
        precedents=precedents.ideas if precedents else (),
        problems=precedents.problems if precedents else (),
        refused=_last(heard, Refused),
        results=_last(heard, Results),
        lines=tuple(h for h in heard if isinstance(h, str)),
        unanswered=tuple(unanswered),
    )


def _last(heard: Sequence[BaseModel | str], kind: type[T]) -> T | None:
    return next((h for h in reversed(heard) if isinstance(h, kind)), None)

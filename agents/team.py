"""Who speaks next: pure functions from what was answered in a stage to a name, or None when the stage is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from move37.agents.messages import Precedents
from move37.agents.replies import Critique, Proposal, Proposals, RankedIdea
from move37.agents.roles import LAB

NextSpeaker = Callable[[Sequence[BaseModel]], str | None]
MOST_CORRECTIONS = 2  # proposals in a row that the lab may send back before the Critic has seen them


def negotiation(max_rounds: int) -> NextSpeaker:
    """Researcher, lab and Critic in turn until the Critic accepts, the Researcher drops, or too many objections stood.

    The lab answers each proposal with precedents; where one cannot be judged as it was written, the Researcher hears
    why, at most `MOST_CORRECTIONS` times. A round is one objection that the Researcher may answer; with `max_rounds` 0
    the first objection is final.
    """

    def next_speaker(replies: Sequence[BaseModel]) -> str | None:
        if not replies:
            return "Researcher"
        last = replies[-1]
        if isinstance(last, Proposals):
            return None if last.drop else LAB
        if isinstance(last, Precedents):
            if not last.problems:
                return "Critic"
            corrected = sum(isinstance(r, Precedents) and bool(r.problems) for r in replies)
            return "Researcher" if corrected <= MOST_CORRECTIONS else None
        objections = sum(isinstance(r, Critique) and not r.accept for r in replies)
        if isinstance(last, Critique) and (last.accept or objections > max_rounds):
            return None
        return "Researcher"

    return next_speaker


def single(name: str) -> NextSpeaker:
    """`name` speaks once, then the stage is over."""

    def next_speaker(replies: Sequence[BaseModel]) -> str | None:
        return None if replies else name

    return next_speaker


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """How a negotiation ended."""

    proposal: Proposal
    accepted: bool
    reason: str = ""  # why not
    others: tuple[tuple[Proposal, str], ...] = ()  # ideas that were not chosen, with the Critic's reason
    critique: Critique | None = None  # of this very proposal; None: the Critic did not see it


def settled(replies: Sequence[BaseModel]) -> Settled:
    """The last proposal and what became of it. Raises `ValueError` when nothing was proposed."""
    offers = [r for r in replies if isinstance(r, Proposals) and r.ideas]
    if not offers:
        raise ValueError("a negotiation without a proposal")
    critiques = [r for r in replies if isinstance(r, Critique)]
    last, critique = offers[-1], critiques[-1] if critiques else None
    # An objection to an earlier proposal says nothing about one that the lab sent back or that nobody looked up.
    place = max(n for n, r in enumerate(replies) if r is last)
    seen = next((r for r in reversed(replies[place:]) if isinstance(r, Critique)), None)
    final = next((r for r in reversed(replies) if isinstance(r, Proposals)), last)
    problems = replies[-1].problems if isinstance(replies[-1], Precedents) else ()
    if problems:
        reason = f"the lab could not judge it: {problems[0]}"
    elif final.drop:
        objection = f"{critique.ground}: {critique.reason}" if critique else "no objection"
        reason = f"dropped by the Researcher ({objection})"
    elif critique is not None and critique.accept:
        chosen, others = _chosen(last.ideas, critique.ranking)
        return Settled(proposal=chosen, accepted=True, others=others, critique=critique)
    else:
        objection = f"{critique.ground}: {critique.reason}" if critique else "no answer"
        reason = f"the Critic's objection stood ({objection})"
    first, *rest = last.ideas
    return Settled(
        proposal=first, accepted=False, reason=reason, others=tuple((p, reason) for p in rest), critique=seen
    )


def _chosen(
    ideas: Sequence[Proposal], ranking: Sequence[RankedIdea]
) -> tuple[Proposal, tuple[tuple[Proposal, str], ...]]:
    """The idea that the Critic ranks first (the Researcher's own first where it ranks none), and the others."""
    reasons = {ranked.name: ranked.reason for ranked in ranking}
    order = [idea for name in reasons for idea in ideas if idea.name == name]
    chosen = order[0] if order else ideas[0]
    rest = [idea for idea in (*order, *ideas) if idea is not chosen]
    unique = list({id(idea): idea for idea in rest}.values())
    return chosen, tuple((idea, reasons.get(idea.name, "")) for idea in unique)

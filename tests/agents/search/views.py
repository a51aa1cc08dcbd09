"""What a role of the search hears, as tests write it down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from move37.agents.messages import Opening, PrecedentFacts, Precedents, Refused
from move37.agents.replies import Proposal, Proposals
from move37.agents.research_context import ParentFacts, ResearchContext, TaskCard
from move37.agents.search.agent import ANSWERS
from move37.agents.search.view import view_of
from move37.lab import baselines
from move37.lab.records import BITS_PER_BYTE, Candidate, GateResult
from move37.memory.records import DeadEnd, Newness

ROLES = {"Proposals": "Researcher", "Critique": "Critic", "Code": "Engineer", "Fix": "Debugger", "Report": "Analyst"}


def parent(baseline: str, /, **changes: Any) -> ParentFacts:
    """A baseline of the lab."""
    facts: dict[str, Any] = {
        "id": f"b-{baseline}",
        "name": baseline,
        "family": baselines.FAMILIES[baseline],
        "is_baseline": True,
        "source": baselines.source(baseline),
        "value": 2.5,
        "steps": 100,
    }
    return ParentFacts(**(facts | changes))


def opening(**changes: Any) -> Opening:
    """A stage of a mixers campaign with two baselines as parents."""
    fields: dict[str, Any] = {
        "experiment": "c1-002",
        "number": 2,
        "seed": 1,
        "task": TaskCard(name="mixers", metric=BITS_PER_BYTE),
        "parents": (parent("gated_delta_net"), parent("mamba2")),
    }
    return Opening(context=ResearchContext(**(fields | changes)))


def accepted_as(offer: Proposals, **changes: Any) -> Opening:
    """The stage after the negotiation."""
    idea = offer.ideas[0]
    return opening(hypothesis=idea.hypothesis(base=idea.base, author="Researcher"), **changes)


def ask(form: type[BaseModel], *heard: BaseModel | str) -> Any:
    """The reply of the role that answers in `form`."""
    return ANSWERS[ROLES[form.__name__]](view_of(heard))


def known(offer: Proposals, newness: Newness | None = None, dead_end: DeadEnd | None = None) -> Precedents:
    """What memory says about the first idea."""
    found = PrecedentFacts(idea=offer.ideas[0].name, newness=newness or Newness(), dead_end=dead_end or DeadEnd())
    return Precedents(ideas=(found,))


def with_plan(offer: Proposals, plan: str, **changes: Any) -> Proposals:
    """The same idea under another plan."""
    idea: Proposal = offer.ideas[0].model_copy(update={"plan": plan, **changes})
    return offer.model_copy(update={"ideas": [idea]})


def refused(source: str, *gates: str, attempt: int = 1) -> Refused:
    """A file that these gates did not let through."""
    found = tuple(GateResult(name=g, passed=False, value=1.0, limit=0.0, message="no") for g in gates)
    return Refused(candidate=Candidate(source=source, author="a test", attempt=attempt), gates=found)


def changed(given: Opening, **changes: Any) -> Opening:
    """The same opening with other fields."""
    fields: Mapping[str, Any] = changes
    return Opening(context=replace(given.context, **fields))

"""Looks up each proposed idea before the Critic speaks: is it new, a dead end, and can it be judged as written?

The answer is a typed message in the conversation (messages.Precedents).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from textwrap import shorten

import structlog

from move37.agents.ledger import OperatorsOf, candidates, source_of
from move37.agents.messages import Opening, PrecedentFacts, Precedents
from move37.agents.planning import complaint
from move37.agents.replies import MOST_LISTED, Proposal, Proposals
from move37.agents.research_memory import ResearchMemory
from move37.agents.search.plans import operators_of_plan
from move37.lab.effects import base_of
from move37.lab.parents import may_be_parent
from move37.lab.records import Experiment, ExperimentStatus, Role
from move37.memory.errors import MemoryFault
from move37.memory.records import DeadEnd, Newness

log = structlog.get_logger()
_EXPERIMENT = re.compile(r"c\d+-\w+")


def resolved(experiments: Sequence[Experiment]) -> dict[str, str]:
    """Every name that a proposal may use for its base -> experiment id; a baseline's name is its newest experiment."""
    able = [e for e in experiments if may_be_parent(e)]
    named = {e.name: e.id for e in able if e.role is Role.BASELINE}
    return named | {e.id: e.id for e in able if e.candidate is not None}


def unfit(base: str, experiments: Sequence[Experiment]) -> str:
    """Why nothing may be built on `base`, and what to name instead; "" when it may. Pure."""
    if base in resolved(experiments):
        return ""
    known = ", ".join(sorted({e.name for e in experiments if e.role is Role.BASELINE and may_be_parent(e)}))
    others = f"give an experiment's id from the ledger or one of {known}"
    found = next((e for e in reversed(experiments) if base and base in (e.id, e.name)), None)
    if found is None:
        return f"its base {shorten(base, 60)!r} does not exist: {others}" if base else f"it names no base: {others}"
    if found.name == base and found.role is Role.CANDIDATE:
        return f"its base {base!r} is the name of {found.id}: an experiment is named by its id"
    if found.status is ExperimentStatus.RUNNING:
        return f"its base {base} is still being tried, and no gain over it can be told yet: name another one"
    made_from: Experiment | None = found
    for _ in experiments:
        if made_from is not None and not may_be_parent(made_from):
            made_from = base_of(made_from, experiments)
    lacks = "number to compare with" if found.candidate else "file"
    why = f"its base {base} has no {lacks} ({shorten(found.reason or found.status.value, 120)})"
    able = made_from is not None and made_from.candidate is not None
    return f"{why}: " + (
        f"to try it again name what it was made from, {made_from.id}" if made_from and able else others
    )


async def answer(
    opening: Opening,
    proposals: Proposals,
    *,
    memory: ResearchMemory,
    experiments: Sequence[Experiment],
    operators_of: OperatorsOf,
    banned: Sequence[str] = (),
) -> Precedents:
    """What is known about each idea, or why it cannot be judged. `banned`: ids that the user ruled out as a base."""
    others = [e for e in experiments if e.id != opening.context.experiment]
    # A ban holds from the next experiment on: bases that were offered to this one before stay allowed.
    ruled_out = {*banned} - {p.id for p in opening.context.parents}
    pool = _pool(opening)
    problems = [p for idea in proposals.ideas for p in complaints(idea, others, pool=pool, banned=ruled_out)]
    names = Counter(idea.name for idea in proposals.ideas)
    problems += [f"{n} ideas are called {name}: give each its own name." for name, n in names.items() if n > 1]
    for idea in proposals.ideas:
        problems += [f"{idea.name}: {why}." for why in [complaint(idea, opening.context.plans)] if why]
    if not proposals.ideas:
        problems.append("There is no idea in `ideas`: propose one, or set `drop`.")
    found = []
    for idea in proposals.ideas if not problems else ():
        found.append(await _precedent(idea, opening, memory, others, operators_of))
    return Precedents(ideas=tuple(found), problems=tuple(problems))


def complaints(
    idea: Proposal, experiments: Sequence[Experiment], *, pool: Sequence[str], banned: Collection[str] = ()
) -> list[str]:
    """Sentences for the Researcher: what does not exist, is a repetition, or was ruled out by the user. Pure."""
    bases, ids = resolved(experiments), {e.id for e in experiments}
    found = [f"{idea.name}: {why}." for why in [unfit(idea.base, experiments)] if why]
    for named in (idea.base, idea.second):
        if bases.get(named, named) in banned:
            found.append(f"{idea.name}: the user has ruled out {named} as a base (/ban): build on another one.")
    for cited in [*idea.cites, *([idea.second] if idea.second else [])]:
        if _EXPERIMENT.fullmatch(cited) and cited not in ids:
            found.append(f"{idea.name}: it cites {cited}, which does not exist: leave it out.")
    if idea.second in {e.id for e in experiments if e.candidate is None}:
        found.append(f"{idea.name}: {idea.second} has no file to be shown beside the base: leave `second` empty.")
    if idea.idea and idea.idea not in pool:
        there = f", or name one of {', '.join(pool[:MOST_LISTED])}" if pool else ""
        found.append(f"{idea.name}: the pool holds no idea {idea.idea!r}: leave `idea` empty{there}.")
    base = bases.get(idea.base, "")
    for e in candidates(experiments):
        h = e.hypothesis
        if h is not None and (_same(h.change), h.base, h.plan) == (_same(idea.change), base, idea.plan):
            found.append(f"{idea.name}: {e.id} ({h.name}) proposed the same change of the same base: change something.")
            break
    return found


async def _precedent(
    idea: Proposal,
    opening: Opening,
    memory: ResearchMemory,
    experiments: Sequence[Experiment],
    operators_of: OperatorsOf,
) -> PrecedentFacts:
    text, task = f"{idea.name}: {idea.change} {idea.motivation}", opening.context.task.name
    gained, lost = changed(idea, experiments, operators_of)
    try:
        new = await memory.is_new(text, task=task)
        dead = await memory.is_dead_end(text, family=idea.family, task=task, gained=gained, lost=lost)
    except MemoryFault as error:  # the Critic can judge without memory, and an experiment does not wait for it
        log.warning("precedents_not_asked", error=str(error))
        new, dead = Newness(), DeadEnd()
    return PrecedentFacts(idea=idea.name, newness=new, dead_end=dead)


def changed(
    idea: Proposal, experiments: Sequence[Experiment], operators_of: OperatorsOf
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Operators that the idea's plan adds to and takes from its base; nothing where there is no plan."""
    base = resolved(experiments).get(idea.base)
    now = operators_of_plan(idea.plan)
    before = next((tuple(operators_of(source_of(e))) for e in experiments if e.id == base), ())
    if not now:
        return (), ()
    return tuple(o for o in now if o not in before), tuple(o for o in before if o not in now)


def _pool(opening: Opening) -> tuple[str, ...]:
    return tuple(idea.id for idea in opening.context.pool)


def _same(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))

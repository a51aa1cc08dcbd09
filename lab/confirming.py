"""Asks the questions of a claim: fresh seeds of the candidate and of each rival, until one question fails.

Read `confirm_while` first, then `_ask` (one question: the same seeds for both arms, then the paired interval). What is
asked, and when a claim stands, is decided in `lab/claims.py`; runs that a killed attempt finished are read from the
home (`lab/measuring.py`). Openings of sealed text are stored in the archive before they happen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from move37.lab import halving
from move37.lab.archive.openings import log_opening
from move37.lab.archive.store import Archive
from move37.lab.claims import (
    ABLATION,
    BASELINE,
    FAMILY,
    HELD_OUT,
    MORE_SEEDS,
    QUESTIONS,
    RETUNED,
    SECOND_CORPUS,
    settled,
)
from move37.lab.comparisons import Rival, compare
from move37.lab.measuring import MeasuredArm, MeasuringContext, runs
from move37.lab.records import SCREEN, Candidate, Claim, Comparison
from move37.lab.tasks.task import Variant

GoOn = Callable[[str], Awaitable[bool]]  # question -> whether there is time to ask it now
SCREENING_SEED = 0  # on which rates are chosen, and nothing else


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One side of a comparison, at its own tuned rate."""

    id: str
    name: str
    candidate: Candidate
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationPlan:
    """What is fixed and stored before the first fresh run; a resumed confirmation reads it."""

    confirmation: int  # of the home
    seeds: tuple[int, ...]
    part: str  # what is new, in words


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """The contenders of a claim, and how their runs are measured."""

    candidate: Contender
    baselines: tuple[Contender, ...]  # the best first
    families: tuple[Contender, ...]  # the best of each that it must beat
    ablation: Contender | None
    missing: Mapping[str, str]  # question -> why it cannot be asked; empty: it does not apply
    variant: Callable[[str], Variant]
    context: Callable[[str, Variant], MeasuringContext]  # (question, variant) -> where its runs are kept
    archive: Archive
    corpus: str  # digest, whose sealed text is opened
    on_answer: Callable[[Comparison], None]
    family_why: str = ""  # why these families
    fixed: Mapping[str, tuple[Contender, ...]] | None = None  # question -> rivals, where a claim is repeated


async def always(question: str) -> bool:
    """A `GoOn` that lets no question wait."""
    return True


async def confirm(setup: Setup, plan: ConfirmationPlan, *, everything: bool = False) -> Claim:
    """Ask one question after the other; the first that fails ends it, unless `everything` is to be known."""
    claim = await confirm_while(setup, plan, always, everything=everything)
    assert claim is not None
    return claim


async def confirm_while(setup: Setup, plan: ConfirmationPlan, go_on: GoOn, *, everything: bool = False) -> Claim | None:
    """As `confirm`, or None as soon as `go_on` says that the next question must wait.

    The runs so far are kept, so that asking again repeats none of them.
    """
    comparisons: list[Comparison] = []
    spent = 0.0
    for question in QUESTIONS:
        if question in setup.missing:
            continue
        if not await go_on(question):
            return None
        answers, cost = await _ask(setup, plan, question, _rivals(setup, question, comparisons))
        comparisons += answers
        spent += cost
        if not all(c.holds for c in answers) and not everything:
            break
    return settled(
        setup.candidate.id, plan.part, comparisons, confirmation=plan.confirmation, missing=setup.missing,
        core_seconds=spent, family=setup.family_why,
    )  # fmt: skip


def contenders(setup: Setup) -> tuple[Contender, ...]:
    """All contenders as data, so that the claim can be repeated from the archive alone."""
    everybody = (setup.candidate, *setup.baselines, *setup.families, setup.ablation)
    return tuple(c for c in everybody if c is not None)


def runs_planned(setup: Setup, plan: ConfirmationPlan) -> int:
    """How many trainings all questions take together, for a progress bar."""
    asked = [q for q in QUESTIONS if q not in setup.missing]
    arms = {q: 1 + len(_rivals(setup, q, ())) for q in asked}
    return sum(count * (len(_seeds(plan, q)) + len(RETUNED.get(q, ()))) for q, count in arms.items())


def _seeds(plan: ConfirmationPlan, question: str) -> tuple[int, ...]:
    """The plan's seeds; further ones follow where a question needs more."""
    more = len(plan.seeds) * (MORE_SEEDS.get(question, 1) - 1)
    return (*plan.seeds, *range(max(plan.seeds) + 1, max(plan.seeds) + 1 + more))


def _rivals(setup: Setup, question: str, known: Sequence[Comparison]) -> tuple[Contender, ...]:
    """The rivals of a question; under other conditions, only the one that was beaten least clearly."""
    if setup.fixed is not None:
        return setup.fixed[question]
    if question == BASELINE:
        return setup.baselines
    if question == FAMILY:
        return setup.families
    if question == ABLATION:
        return (setup.ablation,) if setup.ablation else ()
    everybody = {c.id: c for c in (*setup.baselines, *setup.families)}
    met = [c for c in known if c.rival in everybody and c.low is not None]
    hardest = min(met, key=lambda c: c.low or 0.0, default=None)
    return (everybody[hardest.rival] if hardest else setup.baselines[0],)


async def _ask(
    setup: Setup, plan: ConfirmationPlan, question: str, rivals: Sequence[Contender]
) -> tuple[list[Comparison], float]:
    if question == HELD_OUT:
        log_opening(
            setup.archive, experiment=setup.candidate.id, corpus=setup.corpus,
            purpose=f"confirmation {plan.confirmation}: {len(plan.seeds)} seeds against {rivals[0].name}",
        )  # fmt: skip
    variant = setup.variant(question)
    context = setup.context(question, variant)
    candidate, spent = await _retuned(context, setup.candidate, question, variant)
    seeds = _seeds(plan, question)
    ours = await _arm(context, candidate, variant, seeds)
    answers = []
    spent += _cost(ours)
    for known in rivals:
        rival, more = await _retuned(context, known, question, variant)
        theirs = await _arm(context, rival, variant, seeds)
        spent += more + _cost(theirs)
        answer = _answer(plan, question, variant, ours, rival, theirs)
        if question in RETUNED:
            answer = replace(answer, rates=(candidate.rate, rival.rate))
        setup.on_answer(answer)
        answers.append(answer)
    return answers, spent


def _answer(
    plan: ConfirmationPlan,
    question: str,
    variant: Variant,
    ours: MeasuredArm,
    rival: Contender,
    theirs: MeasuredArm,
) -> Comparison:
    metric = variant.task.metric
    found = compare(
        metric,
        ours.measurements,
        Rival(id=rival.id, name=rival.name, measurements=theirs.measurements, question=question),
        confirmation=plan.confirmation,
        where=variant.where,
    )
    corpus = variant.task.digest if question == SECOND_CORPUS else ""
    if found is None:
        note = ours.failure or theirs.failure or "no fresh seed has a number on both sides"
        return Comparison(
            question=question, rival=rival.id, name=rival.name, effect=0.0, low=None, high=None, confidence=0.0,
            seeds=0, steps=variant.where.steps, total_steps=variant.where.total_steps, width=variant.where.width,
            scale=variant.where.scale, text=variant.where.text, corpus=corpus, note=note,
        )  # fmt: skip
    comparison = replace(found[0], corpus=corpus)
    if ours.failure:  # a failed run leaves no pair, and the remaining ones do not support a claim
        return replace(comparison, low=None, high=None, note=f"a fresh run failed: {ours.failure}")
    return comparison


async def _retuned(
    context: MeasuringContext, who: Contender, question: str, variant: Variant
) -> tuple[Contender, float]:
    """The arm at the rate that is best under the question's conditions, and the CPU seconds of finding it.

    At its own where the question does not ask for another, or where no rate gives a number.
    """
    where, seeds = replace(variant.where, text=SCREEN), (SCREENING_SEED,)
    found = await asyncio.gather(
        *(
            runs(context, who.candidate, who.name, rung=variant.rung, seeds=seeds, rate=who.rate * factor, where=where)
            for factor in RETUNED.get(question, ())
        )
    )
    measured = [m for arm in found for m in arm.measurements]
    best = halving.tuned_rate(measured, metric=variant.task.metric, default=who.rate)
    return replace(who, rate=best), sum(_cost(arm) for arm in found)


async def _arm(context: MeasuringContext, who: Contender, variant: Variant, seeds: Sequence[int]) -> MeasuredArm:
    return await runs(
        context, who.candidate, who.name, rung=variant.rung, seeds=seeds, rate=who.rate, fresh=True, where=variant.where
    )


def _cost(arm: MeasuredArm) -> float:
    return sum(m.cpu_seconds for m in arm.measurements)

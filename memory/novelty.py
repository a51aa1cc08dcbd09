"""Two questions before compute is spent: is this new, is this a dead end (pure, over what was found).

A dead end is judged by what was changed, not by how it was worded: experiments count by how much of the proposal's
change (operators gained and lost against its base) they share, and less in another family. Their gains against the
*parent*, each with its standard error, give the posterior of the mean gain; the size of a loss against its noise
decides, never its sign alone. Where operators are unknown (a proposal in prose), likeness of the texts stands in, and
counts half.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from move37.memory.found import Found
from move37.memory.records import (
    DeadEnd,
    Entry,
    Evidence,
    Lesson,
    MeasuredEffect,
    Newness,
    Posterior,
    Precedent,
    RecordedPrinciple,
)
from move37.memory.render import RELATED, evidence_of

CLEAR = 2.0  # standard errors from which an effect is told from none
OTHER_FAMILY = 0.5  # what an experiment in another family is worth
BY_TEXT = 0.5  # what the likeness of texts is worth at most
LEAST = 0.25  # relevance under which an experiment says nothing about a change
BETWEEN = 0.5  # how much one change's true gain varies from place to place, as a share of the usual size of gains
Change = tuple[frozenset[str], frozenset[str]]  # operators gained and lost against the base


def newness(near: Sequence[tuple[Found, float]]) -> Newness:
    """`near`: (item, cosine) of the nearest published insight and the nearest own experiment, in any order."""
    order = sorted(near, key=lambda pair: -pair[1])
    return Newness(nearest=tuple(precedent(found, cosine) for found, cosine in order))


def precedent(found: Found, cosine: float, relevance: float = 0.0) -> Precedent:
    """An item beside a proposal."""
    item, near = found.item, min(max(cosine, 0.0), 1.0)
    if isinstance(item, Entry):
        return Precedent(key=found.key, kind=found.kind, name=item.name, title=item.title, similarity=near)
    if isinstance(item, RecordedPrinciple):
        return Precedent(key=item.id, kind=found.kind, name=item.text, similarity=near)
    return Precedent(
        key=item.experiment,
        kind=found.kind,
        name=item.name,
        family=item.family,
        similarity=near,
        relevance=relevance,
        evidence=evidence_of(item),
        seen=item.lesson or item.seen,
    )


def relevance(lesson: Lesson, *, change: Change, family: str | None, cosine: float) -> float:
    """How much an experiment says about a change, 0..1: the share of changed operators in common (of all that either
    changed), or half the likeness of the texts where one side's operators are unknown."""
    asked = _signed(*change)
    known = _signed(frozenset(lesson.gained), frozenset(lesson.lost))
    if asked and known:
        alike = len(asked & known) / len(asked | known)
    else:
        alike = BY_TEXT * min(max((cosine - RELATED) / (1.0 - RELATED), 0.0), 1.0)
    return alike * (OTHER_FAMILY if family and lesson.family != family else 1.0)


def _signed(gained: frozenset[str], lost: frozenset[str]) -> frozenset[str]:
    return frozenset(f"+{name}" for name in gained) | frozenset(f"-{name}" for name in lost)


def posterior(cases: Sequence[tuple[MeasuredEffect, float]], *, scale: float) -> Posterior | None:
    """The mean gain of a change from (effect against the parent, relevance) pairs; None when no effect has an error.

    Normal with a prior around zero as wide as gains usually are (`scale`). A case's precision is its relevance over its
    variance, to which the variation between places is added: so one run, however certain, is one run.
    """
    between = (BETWEEN * scale) ** 2
    weighed = [
        (effect.gain, share / (effect.error**2 + between), share)
        for effect, share in cases
        if effect.error is not None and share > 0.0 and effect.error**2 + between > 0.0
    ]
    if not weighed or not scale > 0.0:
        return None
    precision = 1.0 / scale**2 + sum(weight for _, weight, _ in weighed)
    return Posterior(
        mean=sum(gain * weight for gain, weight, _ in weighed) / precision,
        error=1.0 / math.sqrt(precision),
        count=sum(share for _, _, share in weighed),
    )


def usual_size(lessons: Sequence[Lesson]) -> float:
    """How large gains against parents are here: the median size, and never under the median standard error."""
    known = [lesson.effects.parent for lesson in lessons if lesson.effects.parent is not None]
    sizes = [abs(effect.gain) for effect in known]
    errors = [effect.error for effect in known if effect.error is not None]
    return max(1.4826 * statistics.median(sizes) if sizes else 0.0, statistics.median(errors) if errors else 0.0)


def dead_end(
    near: Sequence[tuple[Found, float]],
    *,
    gained: Sequence[str] = (),
    lost: Sequence[str] = (),
    family: str | None = None,
) -> DeadEnd:
    """`near`: own experiments of the task and the cosine of their text to the proposal's."""
    change: Change = (frozenset(gained), frozenset(lost))
    groups: dict[str, list[Precedent]] = {"lost": [], "gained": [], "open": [], "refused": []}
    cases: list[tuple[MeasuredEffect, float]] = []
    lessons = [(found, found.item, cosine) for found, cosine in near if isinstance(found.item, Lesson)]
    weighed = [
        (relevance(lesson, change=change, family=family, cosine=cosine), found, lesson, cosine)
        for found, lesson, cosine in lessons
    ]
    for share, found, lesson, cosine in sorted(weighed, key=lambda one: (-one[0], one[1].id)):
        if share < LEAST:
            break
        groups[outcome(evidence_of(lesson))].append(precedent(found, cosine, share))
        if lesson.effects.parent is not None:
            cases.append((lesson.effects.parent, share))
    return DeadEnd(
        lost=tuple(groups["lost"]),
        gained=tuple(groups["gained"]),
        open=tuple(groups["open"]),
        refused=tuple(groups["refused"]),
        posterior=posterior(cases, scale=usual_size([lesson for _, lesson, _ in lessons])),
    )


def outcome(known: Evidence) -> str:
    """lost, gained, open (the gain is within its noise, or has none to compare with), or refused before it ran."""
    size = known.effects.parent.size if known.effects.parent is not None else None
    if size is None:
        return "refused" if known.status in ("failed", "rejected") and known.effects.fairest is None else "open"
    if abs(size) < CLEAR:
        return "open"
    return "lost" if size < 0 else "gained"

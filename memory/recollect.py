"""From what a search found to what agents read: records field by field, whole ones, within a budget (pure)."""

from __future__ import annotations

from collections.abc import Sequence

from move37.memory import rank, render
from move37.memory.found import Found
from move37.memory.guard import neutralize
from move37.memory.records import Entry, Recollection, RecordedPrinciple


def within(found: Sequence[Found], budget: int) -> tuple[Recollection, ...]:
    """The items as recollections, each whole, whose texts need at most `budget` tokens together, best first. What does
    not fit is left out, and a later, shorter one may take its room."""
    items = [recollection(item) for item in found]
    fitting = rank.whole([rank.tokens(render.recollection(item)) for item in items], budget)
    return tuple(items[place] for place in fitting)


def recollection(found: Found) -> Recollection:
    """A found item as agents read it, field by field; signs that hide or imitate are taken out of foreign text."""
    item = found.item
    if isinstance(item, Entry):
        return Recollection(
            key=found.key,
            id=found.id,
            kind=found.kind,
            title=neutralize(item.title),
            claim=neutralize(": ".join(part for part in (item.name, item.insight) if part)),
            why=neutralize(item.mechanism),
            remedy=neutralize(item.remedy),
            equations=neutralize(item.equations),
            complexity=neutralize(item.complexity),
            families=item.families,
            symptoms=tuple(neutralize(symptom) for symptom in item.symptoms),
            operators=item.operators,
            source=f"https://arxiv.org/abs/{item.arxiv}" if item.arxiv else neutralize(item.source),
            score=found.score,
            matched=found.why,
        )
    if isinstance(item, RecordedPrinciple):
        return Recollection(
            key=found.key,
            id=found.id,
            kind=found.kind,
            title=f"Principle {neutralize(item.id)}",
            claim=neutralize(item.text),
            supports=item.supports,
            contradicts=item.contradicts,
            families=item.families,
            operators=item.operators,
            score=found.score,
            matched=found.why,
        )
    return Recollection(
        key=found.key,
        id=found.id,
        kind=found.kind,
        title=neutralize(item.name),
        claim=neutralize(item.seen),
        why=neutralize(item.why),
        next=neutralize(item.next),
        next_operators=item.next_operators,
        lesson=neutralize(item.lesson),
        evidence=render.evidence_of(item),
        families=(item.family,) if item.family else (),
        symptoms=tuple(neutralize(symptom) for symptom in item.symptoms),
        probes=item.probes,
        operators=item.operators,
        gained=item.gained,
        lost=item.lost,
        score=found.score,
        matched=found.why,
    )

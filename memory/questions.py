"""The two questions that agents ask in every cycle: is this new, is this a dead end (pure, over what was found)."""

from __future__ import annotations

from collections.abc import Sequence

from move37.memory import rank
from move37.memory.library import Found
from move37.memory.records import DeadEnd, Entry, Lesson, Newness, Recollection

ALIKE = 0.45  # cosine under which two texts are about different things
SAME = 0.80  # cosine above which we call an idea known


def recollection(found: Found, text: str) -> Recollection:
    """As agents read it."""
    item = found.item
    title = item.title if isinstance(item, Entry) else item.name
    return Recollection(
        key=found.key,
        id=found.id,
        kind=found.kind,
        title=title,
        text=text,
        operators=item.operators,
        score=found.score,
        why=found.why,
    )


def newness(near: Sequence[tuple[Found, float]], texts: Sequence[str]) -> Newness:
    """`near`: (item, cosine) of the nearest published insight and the nearest own experiment, in any order."""
    order = sorted(range(len(near)), key=lambda place: -near[place][1])
    if not order:
        return Newness(nearest=(), similarity=0.0, text="Nothing in memory to compare with: new as far as we know.")
    found, cosine = near[order[0]]
    parts = [f"{_called(item)} at {likeness:.2f}" for item, likeness in (near[place] for place in order)]
    verdict = "known already" if cosine >= SAME else "related work exists" if cosine >= ALIKE else "nothing alike"
    because = found.why.split(";")[0]
    text = f"{verdict.capitalize()}: nearest is {', then '.join(parts)} (cosine; {because})."
    return Newness(
        nearest=tuple(recollection(near[place][0], texts[place]) for place in order),
        similarity=min(max(cosine, 0.0), 1.0),
        text=text,
    )


def is_loss(lesson: Lesson) -> bool:
    """Did it fail or lose? An effect whose interval reaches over zero is neither."""
    if lesson.status in ("failed", "rejected"):
        return True
    if lesson.effect is None:
        return False
    return lesson.effect < 0 and (lesson.high is None or lesson.high < 0)


def dead_end(near: Sequence[tuple[Found, float]], texts: Sequence[str]) -> DeadEnd:
    """`near`: own experiments like it and their cosine. Evidence adds up as independent doubts: 1 - prod(1 - e * s)."""
    tried = [
        (found, cosine, text)
        for (found, cosine), text in zip(near, texts, strict=True)
        if isinstance(found.item, Lesson) and is_loss(found.item) and cosine >= ALIKE
    ]
    if not tried:
        return DeadEnd(tried=(), evidence=0.0, text="Nothing like it has failed here.")
    won = sum(
        1
        for found, cosine in near
        if isinstance(found.item, Lesson)
        and cosine >= ALIKE
        and (found.item.effect or 0.0) > 0
        and not is_loss(found.item)
    )
    doubt = 1.0
    for found, cosine, _ in tried:
        assert isinstance(found.item, Lesson)
        doubt *= 1.0 - rank.evidence(found.item) * min(max((cosine - ALIKE) / (1.0 - ALIKE), 0.0), 1.0)
    evidence = (1.0 - doubt) / (1.0 + won)
    worst = tried[0][0].item
    assert isinstance(worst, Lesson)
    how = worst.seen or worst.why or worst.status
    seeds = f"{worst.seeds} seed{'s' if worst.seeds != 1 else ''}"
    text = (
        f"{len(tried)} like it failed or lost, nearest {worst.experiment} ({worst.name}, {seeds}): {rank.cut(how, 60)}"
        + (f" {won} like it gained." if won else "")
    )
    return DeadEnd(tried=tuple(recollection(found, text) for found, _, text in tried), evidence=evidence, text=text)


def _called(found: Found) -> str:
    item = found.item
    return f"{item.title} ({item.key})" if isinstance(item, Entry) else f"own {item.name} ({item.experiment})"

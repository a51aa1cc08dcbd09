"""Records to text, for prompts and people (pure). Nothing reads these texts back."""

from __future__ import annotations

from collections.abc import Iterator

from move37.memory.guard import neutralize
from move37.memory.records import (
    DeadEnd,
    Entry,
    Evidence,
    Lesson,
    MeasuredEffect,
    MeasuredEffects,
    Newness,
    Precedent,
    ProbeResult,
    Recollection,
    RecordedPrinciple,
)

Stored = Entry | Lesson | RecordedPrinciple
KNOWN = 0.80  # cosine from which an idea is called known
RELATED = 0.45  # cosine from which two texts are about one thing


def called(key: str, source: str) -> str:
    """A paper's name: its file's, and of an entry in a list of references ("refs.bib#vaswani17") its own in that list.
    Otherwise a library in one file would count as one paper, of which one insight is enough."""
    file, _, cite = source.partition("#")
    return f"{key}/{cite}" if cite and "://" not in file else key


def recollection(item: Recollection) -> str:
    """Every field that a reader acts on; symptoms are for the index. Signs that hide or imitate are taken out."""
    head = item.title if item.kind != "cognition" else f"{item.title} ({item.key})"
    if item.kind == "analysis":
        head = f"Own experiment {item.key} {item.title}"
    parts = [
        (head, ""),
        ("Lesson", item.lesson),
        ("Claim" if item.kind != "analysis" else "Seen", item.claim),
        ("Why", item.why),
        ("Remedy", item.remedy),
        ("Next", item.next),
        ("Evidence", evidence(item.evidence) if item.evidence else ""),
        ("Probes", probes(item.probes)),
        ("Supported by", ", ".join(item.supports)),
        ("Contradicted by", ", ".join(item.contradicts)),
        ("Families", ", ".join(item.families)),
        ("Operators", ", ".join(item.operators)),
        ("Put in", ", ".join(item.gained)),
        ("Taken out", ", ".join(item.lost)),
        ("Equations", item.equations),
        ("Complexity", item.complexity),
    ]
    return neutralize("\n".join(_labelled(parts)))


def stored(item: Stored) -> str:
    """A stored record in whole."""
    if isinstance(item, Entry):
        year = f", {item.year}" if item.year else ""
        parts = [
            (f"{item.title} ({called(item.key, item.source)}{year})", ""),
            (item.name or "Insight", item.insight),
            ("Symptoms (our paraphrase)", " ".join(item.symptoms)),
            ("Remedy", item.remedy),
            ("Operators", ", ".join(item.operators)),
            ("Equations", item.equations),
            ("Complexity", item.complexity),
            ("Mechanism", item.mechanism),
            ("Source", item.source),
        ]
    elif isinstance(item, Lesson):
        parts = [
            (f"Own experiment {item.experiment} {item.name} ({item.family})", ""),
            ("Evidence", evidence(evidence_of(item))),
            ("Lesson", item.lesson),
            ("Expected", item.expected),
            ("Seen", item.seen),
            ("Why", item.why),
            ("Next", item.next),
            ("Probes", probes(item.probes)),
            ("Operators", ", ".join(item.operators)),
            ("Gained", ", ".join(item.gained)),
            ("Lost", ", ".join(item.lost)),
        ]
    else:
        parts = [
            (f"Principle {item.id}", ""),
            ("Claim", item.text),
            ("Supported by", ", ".join(item.supports)),
            ("Contradicted by", ", ".join(item.contradicts)),
        ]
    return "\n".join(_labelled(parts))


def evidence_of(lesson: Lesson) -> Evidence:
    """What stands behind a lesson."""
    return Evidence(
        effects=lesson.effects,
        rung=lesson.rung,
        steps=lesson.steps,
        seeds=lesson.seeds,
        status=lesson.status,
        gate=lesson.gate,
    )


def evidence(known: Evidence) -> str:
    """One line: status, effects with their standard errors, how much was run."""
    parts = [known.status + (f" by the gate {known.gate}" if known.gate else "")]
    parts += [effects(known.effects)]
    parts += [f"rung {known.rung}"] if known.rung else []
    parts += [f"{known.steps} steps"] if known.steps else []
    parts += [f"{known.seeds} seed{'s' * (known.seeds != 1)}"] if known.seeds else []
    return ", ".join(part for part in parts if part)


def effects(known: MeasuredEffects) -> str:
    """Each known effect, named by its reference."""
    named = (("parent", known.parent), ("family's baseline", known.family), ("best baseline", known.best))
    return ", ".join(f"{effect(one)} against the {name}" for name, one in named if one is not None)


def effect(one: MeasuredEffect) -> str:
    """
    >>> effect(Effect(gain=0.0691, error=0.02))
    '+0.069 (standard error 0.020)'
    """
    return _signed(one.gain) + ("" if one.error is None else f" (standard error {one.error:.3f})")


def probes(known: tuple[ProbeResult, ...]) -> str:
    """Name, value and chance."""
    return ", ".join(
        f"{one.name} {one.value:.3f}" + ("" if one.chance is None else f" (chance {one.chance:.3f})") for one in known
    )


def newness(answer: Newness) -> str:
    """One sentence for a reader."""
    if not answer.nearest:
        return "Nothing in memory to compare with: new as far as we know."
    near = answer.similarity
    word = "Known already" if near >= KNOWN else "Related work exists" if near >= RELATED else "Nothing alike"
    return f"{word}: nearest is {', then '.join(f'{named(one)} at {one.similarity:.2f}' for one in answer.nearest)}."


def dead_end(answer: DeadEnd) -> str:
    """One or two sentences for a reader."""
    groups = (("lost", answer.lost), ("gained", answer.gained), ("undecided", answer.open), ("refused", answer.refused))
    said = "; ".join(f"{name}: {', '.join(_short(one) for one in found[:3])}" for name, found in groups if found)
    if not said:
        return "Nothing like it was tried here."
    if answer.posterior is None:
        return f"Like it, {said}. No gain was measured."
    mean = f"{_signed(answer.posterior.mean)} (standard error {answer.posterior.error:.3f})"
    return f"Like it, {said}. Mean gain against the parent {mean}{': a dead end' if answer.is_dead else ''}."


def named(one: Precedent) -> str:
    """How a precedent is called."""
    return f"{one.title} ({one.key})" if one.kind == "cognition" else f"own {one.name} ({one.key})"


def _short(one: Precedent) -> str:
    known = one.evidence.effects.parent if one.evidence else None
    return f"{one.key} {one.name}" + (f" {effect(known)}" if known else "")


def _signed(value: float) -> str:
    """What is rounded to zero has no side."""
    written = f"{value:+.3f}"
    return written if written.strip("+-0.") else written[1:]


def _labelled(parts: list[tuple[str, str]]) -> Iterator[str]:
    head, *rest = parts
    yield head[0]
    yield from (f"{label}: {text}" for label, text in rest if text.strip())

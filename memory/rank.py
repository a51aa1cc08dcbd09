"""From the engine's lists to one ranking: fusion, weights, diversity, near-duplicates, budget (pure).

Read in the order of use: `fuse` joins the lists, `evidence` and `recency` weigh what we learned ourselves, `spread`
picks (maximal marginal relevance, near-duplicates left out), `tokens` and `cut` keep a hard budget. The weights were
chosen by validation: docs/figures/memory.md has the table. Nothing here knows an engine, a clock or a text's origin.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from move37.memory.records import Lesson
from move37.memory.store import Hit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEPTH = 100  # candidates asked of each list
MEANING = 0.3  # weight of the dense half against the words, by validation
SYMPTOM_WORDS = 1.0  # of a word in a symptom against one in the rest
DUPLICATE = 0.97  # cosine above which two items say the same
DIVERSITY = 0.85  # 1 is relevance alone
SAME_SOURCE = 0.7  # what a further insight of a paper that is already in the answer is worth, by validation
HALF_LIFE_DAYS = 30.0  # of an own result's recency

_TOKEN = re.compile(r"[A-Za-z]{1,4}|[0-9]{1,2}|\s*\n|[^\sA-Za-z0-9]")


@dataclass(frozen=True, slots=True)
class Ranked:
    """An id with its fused score, 0..1, and where it comes from."""

    id: str
    score: float
    cosine: float | None  # of its best passage; None when no dense list held it
    bm25: float  # summed over both sparse lists
    places: Mapping[str, int]  # list -> rank from 1


def fuse(lists: Mapping[str, Sequence[Hit]], *, meaning: float = MEANING) -> tuple[Ranked, ...]:
    """Join dense and sparse lists by their scores, best first; ties by id, so that it repeats.

    A list's name ends in `_words` when it is sparse. An item's cosine is its best over the dense lists (cosines are
    comparable, so an item without symptoms loses nothing), its BM25 the sum over the sparse ones. Each half is scaled
    to 0..1 by its own best (the dense one from its worst, as cosines do not start at zero) and weighed. Reciprocal
    ranks find as much but not as early, and depend more on their constant (docs/decisions/30).
    """
    cosines: dict[str, float] = {}
    counts: dict[str, float] = {}
    places: dict[str, dict[str, int]] = {}
    for name, hits in lists.items():
        for place, hit in enumerate(hits, 1):
            places.setdefault(hit.id, {})[name] = place
            if name.endswith("_words"):
                weight = SYMPTOM_WORDS if name.startswith("symptom") else 1.0
                counts[hit.id] = counts.get(hit.id, 0.0) + weight * hit.score
            else:
                cosines[hit.id] = max(cosines.get(hit.id, -1.0), hit.score)
    high, low = max(cosines.values(), default=0.0), min(cosines.values(), default=0.0)
    most = max(counts.values(), default=0.0)
    ranked = []
    for id, where in places.items():
        near = (cosines[id] - low) / (high - low) if id in cosines and high > low else float(id in cosines)
        said = counts.get(id, 0.0) / most if most > 0 else 0.0
        score = meaning * near + (1.0 - meaning) * said
        ranked.append(Ranked(id, score, cosines.get(id), counts.get(id, 0.0), where))
    return tuple(sorted(ranked, key=lambda item: (-item.score, item.id)))


def evidence(lesson: Lesson) -> float:
    """How much an own result is worth, 0..1: seeds, rung, and how tight the interval is against the effect.

    One seed without an interval gives at most .3; a gate that failed is certain, whatever the seeds.
    """
    if lesson.status in ("failed", "rejected") and lesson.effect is None:
        return 0.5
    seeds = 1.0 - 0.5 ** max(lesson.seeds - 1, 0)
    rung = min(max(lesson.rung, 0), 4) / 4.0
    sure = 0.0
    if lesson.effect is not None and lesson.low is not None and lesson.high is not None:
        half = abs(lesson.high - lesson.low) / 2.0
        sure = abs(lesson.effect) / (abs(lesson.effect) + half) if half > 0 or lesson.effect else 0.0
    confirmed = {"confirmed": 1.0, "promoted": 0.7}.get(lesson.status, 0.3)
    return 0.35 * seeds + 0.15 * rung + 0.3 * sure + 0.2 * confirmed


def recency(age_days: float) -> float:
    """1 for today, a half after `HALF_LIFE_DAYS`."""
    return float(0.5 ** (max(age_days, 0.0) / HALF_LIFE_DAYS))


def weigh(score: float, *, evidence: float, recency: float) -> float:
    """An own result's score: weak evidence costs up to a third, age up to a tenth."""
    return score * (0.67 + 0.33 * evidence) * (0.9 + 0.1 * recency)


def spread(
    order: Sequence[tuple[str, float]],
    vectors: Mapping[str, NDArray[np.float32]],
    *,
    limit: int,
    sources: Mapping[str, str] | None = None,
    diversity: float = DIVERSITY,
    duplicate: float = DUPLICATE,
) -> tuple[str, ...]:
    """Maximal marginal relevance over (id, score) pairs, best first; `vectors` are of length 1.

    The first stays first. An item over `duplicate` to a chosen one is left out; one without a vector is kept. Items of
    one source (id -> paper) support each other in the lists, as they share their context, and would fill the answer:
    each one that is chosen lowers the rest.
    """
    sources = sources or {}
    taken: Counter[str] = Counter()
    chosen: list[str] = []
    left = list(order)
    low = min((score for _, score in left if score < 0), default=0.0)  # a reranker's logits may all be negative
    span = max((score for _, score in left), default=1.0) - low or 1.0
    nearest = {id: 0.0 for id, _ in left}

    def worth(item: tuple[str, float]) -> tuple[float, float]:
        relevance = (item[1] - low) / span * SAME_SOURCE ** taken[sources.get(item[0], item[0])]
        return diversity * relevance - (1 - diversity) * nearest[item[0]], item[1]

    while left and len(chosen) < limit:
        best = max(left, key=worth)
        left.remove(best)
        chosen.append(best[0])
        taken[sources.get(best[0], best[0])] += 1
        mine = vectors.get(best[0])
        kept = []
        for id, score in left:
            other = vectors.get(id)
            likeness = float(mine @ other) if mine is not None and other is not None else 0.0
            nearest[id] = max(nearest[id], likeness)
            if likeness < duplicate:
                kept.append((id, score))
        left = kept
    return tuple(chosen)


def tokens(text: str) -> int:
    """An upper estimate of a language model's tokens: four letters, two digits, one sign, half a foreign sign each."""
    return sum(_cost(found) for found in _TOKEN.finditer(text))


def _cost(found: re.Match[str]) -> int:
    return 1 if found[0].isascii() else 2


def cut(text: str, budget: int) -> str:
    """The longest beginning within the budget, at a word's end, marked when something is missing."""
    if tokens(text) <= budget:
        return text
    spent, end = tokens("…"), 0
    for found in _TOKEN.finditer(text):
        spent += _cost(found)
        if spent > budget:
            break
        end = found.end()
    keep = text[:end]
    keep = keep[: keep.rfind(" ")] if " " in keep else keep
    return f"{keep} …" if keep.strip() else ""


def share(lengths: Sequence[int], budget: int) -> tuple[int, ...]:
    """Divide a budget among texts of these lengths, in their order: nobody gets more than needed, all get some."""
    out: list[int] = []
    left = budget
    for place, length in enumerate(lengths):
        fair = math.ceil(left / (len(lengths) - place))
        out.append(min(length, max(fair, 0), left))
        left -= out[-1]
    return tuple(out)

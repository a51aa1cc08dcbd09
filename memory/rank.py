"""From the engine's lists to one ranking: fusion, weights, diversity, near-duplicates, budget (pure).

Read in the order of use: `fuse` joins the lists, `evidence` and `recency` weigh what we learned ourselves,
`shown_before` what was read already, `mmr` picks (maximal marginal relevance, near-duplicates left out), `tokens` and
`whole` keep a hard budget. The weights were
chosen by validation: docs/figures/memory.md has the table. Nothing here knows an engine, a clock or a text's origin.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
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
SHOWN = 0.7  # what one earlier showing leaves of a score
LEAST_SHOWN = 0.2
HALF_LIFE_DAYS = 30.0  # of an own result's recency

_TOKEN = re.compile(r"[A-Za-z]{1,4}|[0-9]{1,2}|\n\s*|[^\sA-Za-z0-9]")


@dataclass(frozen=True, slots=True)
class Ranked:
    """An id with its fused score, 0..1."""

    id: str
    score: float
    cosine: float | None  # of its best passage; None when no dense list held it


def fuse(
    lists: Mapping[str, Sequence[Hit]],
    *,
    meaning: float = MEANING,
    groups: Mapping[str, str] | None = None,
    limit: int | None = None,
) -> tuple[Ranked, ...]:
    """Join dense and sparse lists by their scores, best first, at most `limit`; ties by id, so that it repeats.

    A list's name ends in `_words` when it is sparse. An item's cosine is its best over the dense lists (cosines are
    comparable, so an item without symptoms loses nothing), its BM25 the sum over the sparse ones. Each half is scaled
    to 0..1 by its own best (the dense one from its worst, as cosines do not start at zero) and weighed. `groups` (id ->
    collection) says whose rare words an engine counted: BM25 of two collections do not compare, a home with three
    lessons knows no rare word. So each collection's words are scaled by its own best, and that best is worth what its
    nearest cosine is worth beside the nearest of all. Reciprocal ranks find as much but not as early, and depend more
    on their constant (docs/decisions/30).
    """
    cosines: dict[str, float] = {}
    counts: dict[str, float] = {}
    for name, hits in lists.items():
        if name.endswith("_words"):
            weight = SYMPTOM_WORDS if name.startswith("symptom") else 1.0
            for id, score in hits:
                counts[id] = counts.get(id, 0.0) + weight * score
        else:
            for id, score in hits:
                if score > cosines.get(id, -2.0):
                    cosines[id] = score
    high, low = max(cosines.values(), default=0.0), min(cosines.values(), default=0.0)
    span = high - low
    group = groups or {}
    most = _most_words(counts, cosines, group)
    joined = {id: meaning * ((cosine - low) / span if span > 0 else 1.0) for id, cosine in cosines.items()}
    for id, count in counts.items():
        best = most[group.get(id, "")]
        if best > 0:
            joined[id] = joined.get(id, 0.0) + (1.0 - meaning) * (count / best)
        else:
            joined.setdefault(id, 0.0)
    least = -math.inf if limit is None else min(sorted(joined.values(), reverse=True)[:limit], default=0.0)
    first = sorted((-score, id) for id, score in joined.items() if score >= least)[:limit]
    return tuple(Ranked(id, -score, cosines.get(id)) for score, id in first)


def places(lists: Mapping[str, Sequence[Hit]], ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Item -> list -> its place there, from 1."""
    found: dict[str, dict[str, int]] = {id: {} for id in ids}
    for name, hits in lists.items():
        for place, (id, _) in enumerate(hits, 1):
            if id in found:
                found[id][name] = place
    return found


def _most_words(
    counts: Mapping[str, float], cosines: Mapping[str, float], groups: Mapping[str, str]
) -> dict[str, float]:
    """The BM25 that counts as 1, by collection."""
    most: dict[str, float] = defaultdict(float)
    nearest: dict[str, float] = defaultdict(float)
    for best, values in ((most, counts), (nearest, cosines)):
        for id, value in values.items():
            group = groups.get(id, "")
            if value > best[group]:
                best[group] = value
    top = max(nearest.values(), default=0.0)
    for name in most:
        if top > 0.0 and nearest[name] > 0.0:
            most[name] *= top / nearest[name]
    return most


def evidence(lesson: Lesson) -> float:
    """How much an own result is worth, 0..1: seeds, rung, and how large the effect is against its noise.

    The sign does not matter: a clear loss teaches as much as a clear gain. A gate that failed is certain, whatever the
    seeds; an effect within its noise, or without a known error, adds nothing.
    """
    effect = lesson.effects.fairest
    if lesson.status in ("failed", "rejected") and effect is None:
        return 0.5
    seeds = 1.0 - 0.5 ** max(lesson.seeds - 1, 0)
    rung = min(max(lesson.rung, 0), 4) / 4.0
    size = effect.size if effect is not None else None
    sure = 0.0 if size is None else math.erf(abs(size) / math.sqrt(2.0))
    confirmed = {"confirmed": 1.0, "promoted": 0.7}.get(lesson.status, 0.3)
    return 0.25 * seeds + 0.15 * rung + 0.4 * sure + 0.2 * confirmed


def shown_before(times: int) -> float:
    """What an item's score is multiplied by after it was shown `times` times: what was read is known."""
    return max(SHOWN ** max(times, 0), LEAST_SHOWN)


def recency(age_days: float) -> float:
    """1 for today, a half after `HALF_LIFE_DAYS`."""
    return float(0.5 ** (max(age_days, 0.0) / HALF_LIFE_DAYS))


def weigh(score: float, *, evidence: float, recency: float) -> float:
    """An own result's score: weak evidence costs up to a third, age up to a tenth."""
    return score * (0.67 + 0.33 * evidence) * (0.9 + 0.1 * recency)


def mmr(
    order: Sequence[tuple[str, float]],
    vectors: Mapping[str, NDArray[np.float32]],
    *,
    limit: int,
    sources: Mapping[str, str] | None = None,
    diversity: float = DIVERSITY,
) -> tuple[str, ...]:
    """Maximal marginal relevance over (id, score) pairs, best first; `vectors` are of length 1.

    The first stays first. An item over `DUPLICATE` to a chosen one is left out; one without a vector is kept. Items of
    one source (id -> paper) support each other in the lists, as they share their context, and would fill the answer:
    each one that is chosen lowers the rest.
    """
    import numpy as np

    if not order:
        return ()
    sources = sources or {}
    ids = [id for id, _ in order]
    scores = [score for _, score in order]
    papers = [sources.get(id, id) for id in ids]
    nothing = np.zeros_like(next(iter(vectors.values()), np.zeros(1, dtype=np.float32)))
    rows = np.stack([vectors.get(id, nothing) for id in ids])  # without one: like nothing
    low = min(0.0, *scores)  # where all are negative the nearest to zero is the best
    span = max(scores) - low or 1.0
    relevance = [(score - low) / span for score in scores]
    nearest = [0.0] * len(ids)
    left = list(range(len(ids)))  # two dozen: arrays of so few cost more in their calls than Python in its loops
    chosen: list[str] = []
    while left and len(chosen) < limit:
        best = max(left, key=lambda at: (diversity * relevance[at] - (1 - diversity) * nearest[at], scores[at]))
        chosen.append(ids[best])
        likeness: list[float] = (rows @ rows[best]).tolist()
        left = [at for at in left if at != best and likeness[at] < DUPLICATE]
        for at in left:
            nearest[at] = max(nearest[at], likeness[at])
            if papers[at] == papers[best]:
                relevance[at] *= SAME_SOURCE
    return tuple(chosen)


def tokens(text: str) -> int:
    """An upper estimate of a language model's tokens: four letters, two digits, one sign, half a foreign sign each."""
    return sum(_cost(found) for found in _TOKEN.finditer(text))


def _cost(found: re.Match[str]) -> int:
    return 1 if found[0].isascii() else 2


def whole(lengths: Sequence[int], budget: int) -> tuple[int, ...]:
    """The places of the texts that fit a budget, in their order: each whole or not at all. A text that does not fit
    leaves its room to later ones."""
    out, left = [], budget
    for place, length in enumerate(lengths):
        if length <= left:
            out.append(place)
            left -= length
    return tuple(out)

"""Summaries of an archive: effects of operators, origins of ideas, traits of promoted candidates, surprises.

Read `ComponentEffect`, `origins_of` (paper, own lesson, both, neither), `traits_of` (what promoted candidates
have in common against other measured ones), `surprises_of` (what worked although neither the search's own draws nor the
papers made it likely). All of it is descriptive: trials were not randomised, and none of it confirms anything. Pure.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from move37.lab.records import Experiment, ExperimentStatus, Role
from move37.lab.statistics.paired import interval

PAPER, OWN, BOTH, NEITHER = "a paper", "an own lesson", "both", "neither"
CLIMBED = (ExperimentStatus.PROMOTED, ExperimentStatus.CONFIRMED)
MEASURED = (ExperimentStatus.MEASURED, *CLIMBED)
_OWN = re.compile(r"c\d+-|.*@")  # experiments, and principles of the record (operator@family)
SHOWN = 10  # of a list


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentEffect:
    """The effect of putting an operator in, against the parent, by a shrunk regression over all operators."""

    operator: str
    mean: float  # in the metric's unit, positive is better
    low: float  # 95 %
    high: float
    trials: int  # experiments that put it in or took it out


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Ideas of one origin."""

    origin: str
    ideas: int
    measured: int
    climbed: int
    effect: float | None  # mean against the parent, of those measured
    low: float | None  # 95 %
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trait:
    """How often promoted candidates have something, against other measured ones."""

    trait: str
    climbed: int  # that have it
    of_climbed: int
    others: int
    of_others: int
    p: float  # Fisher's exact test, two-sided
    adjusted: float  # by Holm over all traits that were looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Surprise:
    """Something that worked, and how improbable it was."""

    experiment: str
    name: str
    effect: float  # against the parent
    gained: tuple[str, ...]
    search_bits: float  # -log2 of an operator's share among the search's draws, mean over what is new
    paper_bits: float  # -log2 of a pair's share among the papers, mean over pairs with something new
    unmentioned: tuple[str, ...]  # such pairs that no paper mentions together

    @property
    def bits(self) -> float:
        """Both, added: what the list is ranked by."""
        return self.search_bits + self.paper_bits


def origin_of(experiment: Experiment) -> str:
    """By the keys that its hypothesis cites."""
    cites = experiment.hypothesis.cites if experiment.hypothesis else ()
    own = any(_OWN.match(key) for key in cites)
    paper = any(not _OWN.match(key) for key in cites)
    return BOTH if own and paper else OWN if own else PAPER if paper else NEITHER


def origins_of(experiments: Sequence[Experiment], effects: Mapping[str, float]) -> tuple[Origin, ...]:
    """Every candidate that had a hypothesis, by origin. `effects`: experiment -> gain over its parent."""
    ideas = [e for e in experiments if e.role is Role.CANDIDATE and e.hypothesis is not None]
    found = []
    for origin in (PAPER, OWN, BOTH, NEITHER):
        mine = [e for e in ideas if origin_of(e) == origin]
        gains = [effects[e.id] for e in mine if e.id in effects]
        told = interval(gains) if len(gains) > 1 else None
        found.append(
            Origin(
                origin=origin,
                ideas=len(mine),
                measured=sum(e.status in MEASURED for e in mine),
                climbed=sum(e.status in CLIMBED for e in mine),
                effect=math.fsum(gains) / len(gains) if gains else None,
                low=told.low if told else None,
                high=told.high if told else None,
            )
        )
    return tuple(found)


def traits_of(experiments: Sequence[Experiment], operators: Mapping[str, frozenset[str]]) -> tuple[Trait, ...]:
    """Operators, families and origins by how much they tell the climbed from the others, the clearest first.

    What every measured candidate has, or none, is left out; so are candidates whose operators are unknown.
    """
    measured = [e for e in experiments if e.role is Role.CANDIDATE and e.status in MEASURED and operators.get(e.id)]
    has = {e.id: {*operators[e.id], f"family {e.family}", f"idea from {origin_of(e)}"} for e in measured}
    up = [e for e in measured if e.status in CLIMBED]
    rest = [e for e in measured if e.status not in CLIMBED]
    counts = []
    for trait in sorted(set().union(*has.values())) if has else ():
        a, b = (sum(trait in has[e.id] for e in group) for group in (up, rest))
        if up and rest and 0 < a + b < len(measured):
            counts.append((trait, a, b, fisher(a, len(up), b, len(rest))))
    counts.sort(key=lambda c: c[3])
    found, worst = [], 0.0
    for place, (trait, a, b, p) in enumerate(counts):
        worst = max(worst, min(1.0, p * (len(counts) - place)))
        found.append(
            Trait(trait=trait, climbed=a, of_climbed=len(up), others=b, of_others=len(rest), p=p, adjusted=worst)
        )
    return tuple(found)


def fisher(a: int, n: int, b: int, m: int) -> float:
    """Fisher's exact test, two-sided: `a` of `n` against `b` of `m`."""
    total = a + b

    def log_chance(x: int) -> float:
        return _choose(n, x) + _choose(m, total - x) - _choose(n + m, total)

    seen = log_chance(a)
    found = (log_chance(x) for x in range(max(0, total - m), min(n, total) + 1))
    return min(1.0, math.fsum(math.exp(c) for c in found if c <= seen + 1e-9))


def surprises_of(
    experiments: Sequence[Experiment],
    *,
    operators: Mapping[str, frozenset[str]],
    gained: Mapping[str, frozenset[str]],
    effects: Mapping[str, float],
    draws: Sequence[frozenset[str]],
    papers: Sequence[frozenset[str]],
) -> tuple[Surprise, ...]:
    """Candidates that climbed or gained over their parent, the most improbable first.

    `draws`: operators that each of the search's draws without a record put in; `papers`: operators that each insight of
    a paper names. What was never drawn or mentioned counts as half a time. Means are taken, because with sums every
    large change would be improbable.
    """
    drawn = Counter(o for draw in draws for o in draw)
    mentioned = Counter(pair for paper in papers for pair in itertools.combinations(sorted(paper), 2))
    found = []
    for e in experiments:
        new = gained.get(e.id, frozenset())
        worked = e.role is Role.CANDIDATE and e.status in MEASURED and effects.get(e.id, 0.0) > 0.0
        if not worked or not new:
            continue
        pairs = [p for p in itertools.combinations(sorted(operators[e.id]), 2) if new & {*p}]
        search = [-math.log2((drawn[o] + 0.5) / (len(draws) + 1.0)) for o in sorted(new)]
        paper = [-math.log2((mentioned[p] + 0.5) / (len(papers) + 1.0)) for p in pairs]
        found.append(
            Surprise(
                experiment=e.id,
                name=e.name,
                effect=effects[e.id],
                gained=tuple(sorted(new)),
                search_bits=math.fsum(search) / len(search),
                paper_bits=math.fsum(paper) / len(paper) if paper else 0.0,
                unmentioned=tuple(" + ".join(p) for p in pairs if not mentioned[p]),
            )
        )
    return tuple(sorted(found, key=lambda s: -s.bits))


def _choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)

"""Who came from whom: the one experiment that a candidate changes, not all that its author was offered. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from move37.lab.effects import base_of
from move37.lab.numbers import effect_range
from move37.lab.records import Effect, Experiment, Role

SHORT = 40_000  # characters up to which sources are compared


def ancestor_of(experiment: Experiment, others: Mapping[str, Experiment]) -> Experiment | None:
    """What the experiment was made from: the base that its hypothesis names; in older archives, which named none, of
    the parents that were offered the one whose source is nearest. None without parents.
    """
    hypothesis = experiment.hypothesis
    if hypothesis is not None and hypothesis.base:
        return base_of(experiment, tuple(others.values()))
    offered = [others[p] for p in experiment.parents if p in others and p != experiment.id]
    if len(offered) < 2 or experiment.candidate is None:
        return offered[0] if offered else None
    source = experiment.candidate.source[:SHORT]
    return max(offered, key=lambda p: _likeness(p.candidate.source[:SHORT], source) if p.candidate else -1.0)


def ancestry(experiments: Sequence[Experiment]) -> dict[str, str]:
    """Each experiment's ancestor by id; who has none is not a key."""
    known = {e.id: e for e in experiments}
    found = {e.id: ancestor_of(e, known) for e in experiments if e.role is Role.CANDIDATE}
    return {ident: ancestor.id for ident, ancestor in found.items() if ancestor is not None}


def depths(ancestors: Mapping[str, str], idents: Sequence[str]) -> dict[str, int]:
    """How many generations stand above each of `idents`; an odd archive's circle is cut."""
    found: dict[str, int] = {}
    for ident in idents:
        path = [ident]
        while path[-1] in ancestors and path[-1] not in found and ancestors[path[-1]] not in path:
            path.append(ancestors[path[-1]])
        above = found.get(path[-1], 0)
        for steps, name in enumerate(reversed(path)):
            found.setdefault(name, above + steps)
    return {ident: found[ident] for ident in idents}


def children(ancestors: Mapping[str, str]) -> dict[str, list[str]]:
    """Each experiment's children by id, in the order in which they came."""
    found: dict[str, list[str]] = {}
    for child, parent in ancestors.items():
        found.setdefault(parent, []).append(child)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Descendant:
    """One line of the family tree as a list."""

    experiment: Experiment
    depth: int  # generations below its oldest ancestor
    gain: str  # over what it was made from, with its interval; empty where it was not measured beside it


def descendants(experiments: Sequence[Experiment]) -> list[Descendant]:
    """The family tree from the top: everybody stands under what they were made from, in the order of time."""
    known = {e.id: e for e in experiments}
    made_from = ancestry(experiments)
    depth = depths(made_from, list(known))
    below = children(made_from)
    found: list[Descendant] = []
    rest = [i for i in reversed(known) if depth[i] == 0 and below.get(i)]
    while rest:
        e = known[rest.pop()]
        found.append(Descendant(experiment=e, depth=depth[e.id], gain=_gain(e.effects.parent if e.effects else None)))
        rest += [c for c in reversed(below.get(e.id, ())) if depth[c] == depth[e.id] + 1]
    return found


def _gain(effect: Effect | None) -> str:
    if effect is None:
        return ""
    return effect_range(effect) + (f" after {effect.steps:,} steps" if effect.steps else "")


@lru_cache(maxsize=4_096)
def _likeness(one: str, two: str) -> float:
    return difflib.SequenceMatcher(None, one.splitlines(), two.splitlines(), autojunk=False).ratio()

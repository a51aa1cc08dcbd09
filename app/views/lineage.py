"""Who came from whom: the one experiment that a candidate changes, not all that its author was offered. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from functools import lru_cache

from move37.lab.effects import base_of
from move37.lab.records import Experiment, Role

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


@lru_cache(maxsize=4_096)
def _likeness(one: str, two: str) -> float:
    return difflib.SequenceMatcher(None, one.splitlines(), two.splitlines(), autojunk=False).ratio()

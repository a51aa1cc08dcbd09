"""Whose best a claim must beat: the families that its candidate belongs to. Pure.

A file of the grammar says its family itself. Of any other file the family is that of the file that it changes, up to a
baseline; what its author calls it only adds a rival. Alone that word would choose the rival: "other" none at all,
"linear" on a child of Mamba-2 the weakest (docs/decisions/97).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from move37.agents.search.plans import family_of_file
from move37.lab.effects import base_of
from move37.lab.records import Experiment, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class RivalFamilies:
    """The families to tune, and in a sentence why these. None, and `applies`: the question cannot be asked."""

    names: tuple[str, ...]
    why: str
    applies: bool = True


def rival_families(experiment: Experiment, everybody: Sequence[Experiment], known: Collection[str]) -> RivalFamilies:
    """Of a candidate, among the families `known` to have a baseline."""
    own = _by_file(experiment)
    if own in known:
        return RivalFamilies(names=(own,), why=f"its family is {own}, as its file says")
    if own:
        why = f"its file is of family {own}, which has no baseline to tune: the two best baselines stand for it"
        return RivalFamilies(names=(), why=why, applies=False)
    heirloom = _inherited(experiment, everybody, known)
    if heirloom is None:
        why = "the archive knows no file that it changes, and its author's word alone chooses no rival"
        return RivalFamilies(names=(), why=why)
    family, ancestor = heirloom
    why = f"its family is {family}, that of {ancestor.name or ancestor.id}, which it descends from"
    if experiment.family in known and experiment.family != family:
        why += f"; its author calls it {experiment.family}, so that it has to beat both"
        return RivalFamilies(names=(family, experiment.family), why=why)
    return RivalFamilies(names=(family,), why=why)


def _inherited(
    experiment: Experiment, everybody: Sequence[Experiment], known: Collection[str]
) -> tuple[str, Experiment] | None:
    """The family of the nearest ancestor whose file says one, and that ancestor."""
    met = {experiment.id}
    ancestor = base_of(experiment, everybody)
    while ancestor is not None and ancestor.id not in met:
        family = _by_file(ancestor)
        if family in known:
            return family, ancestor
        met.add(ancestor.id)
        ancestor = base_of(ancestor, everybody)
    return None


def _by_file(experiment: Experiment) -> str:
    """The family that a file says without its author's word: a baseline's, or one of the grammar; else ""."""
    if experiment.role is Role.BASELINE:
        return experiment.family
    return family_of_file(experiment.candidate.source) if experiment.candidate else ""

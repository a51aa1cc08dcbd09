"""Whose best a claim must beat: the families that its candidate belongs to, and that of the best baseline. Pure.

A file of the grammar says its family itself. Of any other file the family is that of the file that it changes, up to a
baseline; what its author calls it only adds a rival. Both are words of the author in the end (which file it changes, in
which order a plan names its paths), so that the best baseline's family is always among them: whatever is said, the
strongest rival there is, tuned as hard, has to be beaten (docs/decisions/97).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from move37.agents.search.plans import family_of_file
from move37.lab.effects import base_of
from move37.lab.records import Experiment, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class RivalFamilies:
    """The families to tune, and in a sentence why these."""

    names: tuple[str, ...]
    why: str


def rival_families(
    experiment: Experiment, everybody: Sequence[Experiment], known: Collection[str], *, best: str
) -> RivalFamilies:
    """Of a candidate, among the families `known` to have a baseline; `best` is the best baseline's."""
    own, why = _own(experiment, everybody, known)
    if best not in known or best in own:
        return RivalFamilies(names=own, why=why)
    return RivalFamilies(names=(*own, best), why=f"{why}; the best baseline is of {best}, which it has to beat as well")


def _own(
    experiment: Experiment, everybody: Sequence[Experiment], known: Collection[str]
) -> tuple[tuple[str, ...], str]:
    family = _by_file(experiment)
    if family in known:
        return (family,), f"its family is {family}, as its file says"
    if family:
        return (), f"its file is of family {family}, which has no baseline to tune"
    heirloom = _inherited(experiment, everybody, known)
    if heirloom is None:
        return (), "the archive knows no file that it changes, and its author's word alone chooses no rival"
    family, ancestor = heirloom
    why = f"its family is {family}, that of {ancestor.name or ancestor.id}, which it descends from"
    if experiment.family in known and experiment.family != family:
        return (family, experiment.family), f"{why}; its author calls it {experiment.family}: it has to beat both"
    return (family,), why


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

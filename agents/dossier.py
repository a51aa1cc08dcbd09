"""The facts that a stage opens with, as one JSON block inside the prompt: the lab's side of the conversation.

A language model reads the block as data; `designer` reads nothing else. `block` writes it, `newest` finds the last
one in a list of texts. Text from papers, analyses and candidates stands only inside such a block, as JSON strings,
so that it can be told from instructions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict, cast

_FENCE = re.compile(r"^```lab-data\n(.*?)\n```$", re.DOTALL | re.MULTILINE)


class ParentFacts(TypedDict):
    """A parent drawn from the archive (or a baseline)."""

    id: str
    role: str  # baseline or candidate
    family: str
    name: str
    source: str
    value: float | None  # primary metric, best rung reached
    effect: float | None  # gain against the best baseline, positive is better


class RecollectionFacts(TypedDict):
    """A recollection."""

    key: str
    kind: str
    title: str
    text: str  # all its fields, for a reader
    operators: list[str]
    next: str  # what our own analysis says to try
    status: str  # of an own experiment
    effect: float | None  # its gain against its parent, or the nearest known reference


class OperatorRecord(TypedDict):
    """How an operator of the grammar has fared in this archive."""

    tried: int
    mean_effect: float  # mean gain against the best baseline of the experiments that used it


class GateFacts(TypedDict):
    """A gate's answer."""

    name: str
    passed: bool | None
    value: float | None
    limit: float | None
    message: str
    traceback: str


class Dossier(TypedDict, total=False):
    """Everything a stage may know; absent keys do not apply to it."""

    task: str  # "mixers" or "program"
    seed: int  # the campaign's
    number: int  # the experiment's, so that a resumed stage draws the same
    direction: str  # the person's brief, Markdown
    contract: str  # the candidate contract
    metric: str
    higher_is_better: bool
    parents: list[ParentFacts]
    recollections: list[RecollectionFacts]
    operators: dict[str, OperatorRecord]
    tried_plans: list[str]  # plans (genomes) of all earlier experiments; "" left out
    newness: str  # memory's answer to "is this new?"
    newness_similarity: float
    nearest_own: str  # the id of the own experiment that is nearest of all, or ""
    dead_end: str  # memory's answer to "is this a dead end?"
    dead_end_evidence: float
    hypothesis: dict[str, Any]  # asdict(Hypothesis)
    source: str  # the candidate as it stands
    attempt: int
    gates: list[GateFacts]
    measurements: list[dict[str, Any]]  # asdict(Measurement)
    baseline_measurements: dict[str, list[dict[str, Any]]]  # baseline name -> asdict(Measurement)
    failure: str
    effect: float | None
    person: list[str]  # what the person said and nobody has answered yet


def block(dossier: Dossier) -> str:
    """The dossier as a fenced block. Fences inside strings cannot close it: newlines are escaped by JSON."""
    return "```lab-data\n" + json.dumps(dossier, ensure_ascii=False) + "\n```"


def newest(texts: Iterable[str]) -> Dossier:
    """All blocks of the conversation merged, later keys winning; empty when there is none."""
    merged: dict[str, Any] = {}
    for text in texts:
        for found in _FENCE.findall(text):
            value = json.loads(found)
            if isinstance(value, Mapping):
                merged.update(value)
    return cast(Dossier, merged)

"""What memory gives back and takes in, as frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Recollection:
    """One item that memory returned, and why."""

    key: str  # "2412.06464" or an experiment id
    id: str = ""  # the item in the store; `move37 memory show` takes it
    kind: str  # "cognition" or "analysis"
    title: str
    text: str  # what goes into a prompt, within its budget of tokens
    operators: tuple[str, ...] = ()  # grammar operators that it maps to (memory/cognition/operators.txt)
    score: float = 0.0  # after fusion and weighting; comparable within one answer only
    why: str = ""  # which words or vectors brought it back


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What one finished experiment taught, as memory stores it (built by agents/ from Experiment and Analysis)."""

    experiment: str
    task: str
    name: str
    family: str
    parents: tuple[str, ...]
    status: str  # failed, rejected, measured, promoted, confirmed
    rung: int
    operators: tuple[str, ...]
    expected: str
    seen: str
    why: str
    next: str
    symptoms: tuple[str, ...]
    effect: float | None = None  # against the best baseline, positive is better
    low: float | None = None
    high: float | None = None
    seeds: int = 0
    deltas: Mapping[str, float] = field(default_factory=dict)  # probe or metric -> difference to the baseline
    finished_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Newness:
    """Answer to "is this new?"."""

    nearest: tuple[Recollection, ...]  # published and own, nearest first
    similarity: float  # of the nearest, 0..1
    text: str  # one sentence with the reason


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadEnd:
    """Answer to "is this a dead end?"."""

    tried: tuple[Recollection, ...]  # failed or losing experiments like it
    evidence: float  # 0 none .. 1 strong (seeds, rungs, tight intervals)
    text: str  # one sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One insight of one paper, as memory stores it in the collection `cognition`."""

    key: str  # the file's stem: an arXiv id in the built-in base
    number: int  # position of the insight in its file, from 0
    origin: str  # "builtin" or "person"
    title: str
    name: str = ""  # of the insight
    arxiv: str = ""
    year: int = 0  # 0 is unknown
    area: str = ""
    families: tuple[str, ...] = ()
    mechanism: str = ""
    insight: str = ""
    symptoms: tuple[str, ...] = ()
    remedy: str = ""
    equations: str = ""
    complexity: str = ""
    background: str = ""  # context that an imported file gives
    operators: tuple[str, ...] = ()
    source: str = ""  # where it was read: owner/repository:path, a URL, or a file's name

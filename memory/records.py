"""What memory gives back and takes in, as frozen data: a fact is a field, `render.py` makes texts of them.

Read in this order: `MeasuredEffect`, `MeasuredEffects` and `ProbeResult` are numbers; `Lesson`, `Entry` and
`RecordedPrinciple` are what is stored, one a collection; `Situation` asks, `Recollection`, `Newness` and `DeadEnd`
answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

MemoryKind = Literal["cognition", "analysis", "principle"]  # of papers, of own experiments, of what we believe
MEMORY_KINDS: tuple[MemoryKind, ...] = ("cognition", "analysis", "principle")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredEffect:
    """A gain at equal steps on the same text; positive is better, in the task's own unit."""

    gain: float
    error: float | None = None  # its standard error; None is unknown

    @property
    def size(self) -> float | None:
        """The gain in standard errors; None where there is no error to measure by."""
        if self.error is None or not (math.isfinite(self.error) and math.isfinite(self.gain)):
            return None
        if self.error > 0:
            return self.gain / self.error
        return math.copysign(math.inf, self.gain) if self.gain else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredEffects:
    """The same experiment against three references."""

    parent: MeasuredEffect | None = None  # what it changed
    family: MeasuredEffect | None = None  # the baseline of its family
    best: MeasuredEffect | None = None  # the best baseline

    @property
    def fairest(self) -> MeasuredEffect | None:
        """The one that says most about the change: against the parent, else the family's, else the best baseline."""
        return self.parent or self.family or self.best


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """One probe's number."""

    name: str
    value: float
    chance: float | None = None  # what guessing scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """How much stands behind a recollection of an experiment."""

    effects: MeasuredEffects = field(default_factory=MeasuredEffects)
    rung: int = 0
    steps: int = 0  # optimiser steps behind the effects
    seeds: int = 0
    status: str = ""  # failed, rejected, measured, promoted, confirmed
    gate: str = ""  # the gate that refused it


@dataclass(frozen=True, slots=True, kw_only=True)
class Recollection:
    """One item that memory returned. No field is ever cut: a budget leaves out whole items."""

    key: str  # "2412.06464", an experiment's id, or a principle's
    id: str = ""  # the item in the store; `move37 memory show` takes it
    kind: MemoryKind
    title: str
    claim: str  # the insight; what was seen; the principle
    why: str = ""  # the mechanism behind it
    remedy: str = ""  # what to change, by the paper
    next: str = ""  # what to try, by our own analysis
    next_operators: tuple[str, ...] | None = None  # of the grammar, in it; None: it is words alone
    lesson: str = ""  # our own analysis in one line
    equations: str = ""
    complexity: str = ""
    evidence: Evidence | None = None  # of own experiments
    supports: tuple[str, ...] = ()  # experiments that speak for a principle
    contradicts: tuple[str, ...] = ()  # and against it
    families: tuple[str, ...] = ()  # where it applies
    symptoms: tuple[str, ...] = ()  # what one sees where it applies; of papers it is our paraphrase
    probes: tuple[ProbeResult, ...] = ()
    operators: tuple[str, ...] = ()  # grammar operators that it maps to (memory/cognition/operators.txt)
    gained: tuple[str, ...] = ()  # of them, those that an own experiment put into its base
    lost: tuple[str, ...] = ()  # operators that it took out of its base
    source: str = ""  # where to read it: an arXiv address, a file's name
    score: float = 0.0  # after fusion and weighting; comparable within one answer only
    matched: str = ""  # which words or vectors brought it back


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What one finished experiment taught, as memory stores it (built by agents/ from Experiment and Analysis)."""

    experiment: str
    task: str  # with its folder in full where it has one: "mixers", "program:/home/me/packing"
    name: str
    family: str
    parents: tuple[str, ...]
    status: str  # failed, rejected, measured, promoted, confirmed
    rung: int
    operators: tuple[str, ...]  # all that its source uses
    expected: str
    seen: str
    why: str
    next: str
    symptoms: tuple[str, ...]
    next_operators: tuple[str, ...] | None = None  # of the grammar, that `next` says to try; None: it is words alone
    lesson: str = ""  # one line
    base: str = ""  # the parent that it was compared with
    gained: tuple[str, ...] = ()  # operators that the base lacks
    lost: tuple[str, ...] = ()  # operators that only the base has
    effects: MeasuredEffects = field(default_factory=MeasuredEffects)
    steps: int = 0  # optimiser steps behind the effects
    seeds: int = 0
    probes: tuple[ProbeResult, ...] = ()
    gate: str = ""  # the gate that refused it, or ""
    finished_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedPrinciple:
    """What the laboratory believes after several experiments; rewritten as evidence turns."""

    id: str  # stable while the text is rewritten
    text: str
    task: str = ""  # "" holds for every task
    data: str = ""  # digest of the task's: with the task it tells principles of one id apart
    supports: tuple[str, ...] = ()  # experiments
    contradicts: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    updated_at: str = ""  # ISO 8601, UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One insight of one paper, as memory stores it in the collection `cognition`."""

    key: str  # the file's stem: an arXiv id in the built-in base
    number: int  # position of the insight in its file, from 0
    origin: str  # "builtin" or "person"
    title: str
    name: str = ""  # of the insight
    task: str = ""  # the task that it is about; "" may help any
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
    source: str = ""  # where to read it: a URL, or a file's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What one asks from: `situation.question` turns it into the words that symptoms are written in."""

    direction: str = ""  # what the user wants
    families: tuple[str, ...] = ()  # of the parents
    probes: tuple[ProbeResult, ...] = ()  # the parents' probes, solved ones too
    symptoms: tuple[str, ...] = ()  # what analyses saw
    change: str = ""  # a proposal, where one exists


@dataclass(frozen=True, slots=True, kw_only=True)
class Precedent:
    """A published insight or an own experiment beside a proposal."""

    key: str
    kind: str  # "cognition" or "analysis"
    name: str
    title: str = ""  # of the paper
    family: str = ""  # of the experiment
    similarity: float = 0.0  # cosine of the texts, 0..1
    relevance: float = 0.0  # 0..1, by operators and family where both are known, else by texts
    evidence: Evidence | None = None  # of own experiments
    seen: str = ""  # in one line


@dataclass(frozen=True, slots=True, kw_only=True)
class Newness:
    """Answer to "is this new?"."""

    nearest: tuple[Precedent, ...] = ()  # the nearest insight and the nearest own experiment, nearest first

    @property
    def similarity(self) -> float:
        """Of the nearest, 0..1; 0 where there is nothing."""
        return self.nearest[0].similarity if self.nearest else 0.0

    @property
    def own(self) -> Precedent | None:
        """The nearest own experiment."""
        return next((one for one in self.nearest if one.kind == "analysis"), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterior:
    """What the experiments say about the mean gain of a change against its parent."""

    mean: float
    error: float  # standard deviation of the mean
    count: float  # experiments behind it, each by its relevance

    @property
    def below(self) -> float:
        """Probability that the change loses, 0..1; .5 where nothing is known."""
        return 0.5 * math.erfc(self.mean / (self.error * math.sqrt(2.0))) if self.error > 0 else 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadEnd:
    """Answer to "is this a dead end?"."""

    lost: tuple[Precedent, ...] = ()  # experiments like it that lost clearly against their parent, most relevant first
    gained: tuple[Precedent, ...] = ()  # that gained clearly
    open: tuple[Precedent, ...] = ()  # whose gain cannot be told from none
    refused: tuple[Precedent, ...] = ()  # that no gate or Critic let through: nothing is known of their gain
    posterior: Posterior | None = None  # None while no gain was measured

    @property
    def is_dead(self) -> bool:
        """The mean gain lies more than two standard errors below zero."""
        return self.posterior is not None and self.posterior.mean + 2.0 * self.posterior.error < 0.0

    @property
    def evidence(self) -> float:
        """0 (no evidence) to 1 (certain): how far the probability of a loss is above one half, times two."""
        return max(0.0, 2.0 * self.posterior.below - 1.0) if self.posterior is not None else 0.0

"""What a role reads before it answers, as data. rendering.py makes a prompt of it, the search reads the fields.

Built by context_builder.py from the archive and the memory. In the order in which it is read: the task, what is known
(principles, leaderboard, ledger), what to build on (parents, best candidate, recollections, ideas), what may still be
spent, what the user wants. No field is prose made of other fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from move37.lab.records import Effects, Hypothesis, Metric, Principle
from move37.memory.records import Recollection

# Whether the Researcher may, or must, answer with a plan of the grammar (planning.py).
Plans = Literal["no", "may", "must"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCard:
    """What is searched for, and within which limits."""

    name: str  # "mixers" or "program:DIR"
    metric: Metric
    contract: str = ""  # Markdown
    facts: Mapping[str, str] = field(default_factory=dict)  # sizes, limits, noise: label -> value with its unit
    uses_kernels: bool = False  # candidates may import our kernels

    @property
    def kind(self) -> str:
        """ "mixers" or "program"."""
        return self.name.partition(":")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderboardRow:
    """One experiment's number at one step count."""

    experiment: str
    name: str
    value: float  # of the primary metric
    seeds: int
    is_baseline: bool
    parameters: int | None = None  # of the whole network
    seconds: float | None = None  # of training up to here
    probes: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """One candidate in one line: what it changed, what came of it."""

    experiment: str
    name: str
    status: str
    base: str  # experiment id; "" when it is not known
    change: str
    effects: Effects = field(default_factory=Effects)
    steps: int = 0  # behind the effects
    gate: str = ""  # the gate that refused it, and its number
    lesson: str = ""  # one sentence
    claim: str = ""  # what it was found to be when a discovery was claimed of it


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentFacts:
    """A file to build on."""

    id: str
    name: str
    family: str
    is_baseline: bool
    source: str
    value: float | None = None  # primary metric at the most steps
    steps: int = 0
    effects: Effects = field(default_factory=Effects)
    why: str = ""  # the rule that drew it
    base: str = ""  # its own parent
    diff: str = ""  # unified, from that parent
    next: str = ""  # what its analysis says to try
    claim: str = ""  # what it was found to be when a discovery was claimed of it


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorFacts:
    """The measured effect of putting an operator of the grammar into a parent."""

    tried: int
    mean_effect: float  # positive is better, in the metric's unit
    sd: float = 0.0  # how uncertain that is, in the metric's unit


@dataclass(frozen=True, slots=True, kw_only=True)
class IdeaFacts:
    """An idea that was proposed and not chosen."""

    id: str  # "c1-004.2"
    hypothesis: Hypothesis
    reason: str = ""  # why it was ranked behind


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlight:
    """A hypothesis that is being tried just now."""

    experiment: str
    name: str
    change: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetFacts:
    """What may still be spent; None: no limit."""

    experiments_left: int = 0  # this one included
    seconds_left: float | None = None
    tokens_left: int | None = None
    next_rung: str = ""  # its name
    next_rung_seconds: float | None = None  # of one candidate, from what was measured


@dataclass(frozen=True, slots=True, kw_only=True)
class ResearchContext:
    """Everything that a stage may know; empty fields do not apply to it."""

    experiment: str
    number: int
    seed: int  # the campaign's
    task: TaskCard
    campaign: int = 1  # its number in the home
    ideas_wanted: int = 1  # hypotheses that the Researcher is asked for
    plans: Plans = "no"
    direction: str = ""  # the brief, Markdown
    proposals: tuple[str, ...] = ()  # hypotheses that the user handed over
    said: tuple[str, ...] = ()  # the user's lines in earlier stages of this experiment
    ruled_out: tuple[str, ...] = ()  # ids, names and families that the user banned as a base
    principles: tuple[Principle, ...] = ()
    leaderboard: Mapping[int, tuple[LeaderboardRow, ...]] = field(default_factory=dict)  # steps -> best first
    ledger: tuple[LedgerRow, ...] = ()  # oldest first
    parents: tuple[ParentFacts, ...] = ()
    best: ParentFacts | None = None  # the best candidate, where it is no parent
    recollections: tuple[Recollection, ...] = ()
    operators: Mapping[str, OperatorFacts] = field(default_factory=dict)
    operator_scale: float | None = None  # standard deviation of operators' effects, in the metric's unit; None: unknown
    scatter: float | None = None  # of a measured effect around what the record expects, in the metric's unit
    adding: float = 0.0  # what putting in any operator does, in the metric's unit
    tried_plans: tuple[str, ...] = ()
    pool: tuple[IdeaFacts, ...] = ()
    in_flight: tuple[InFlight, ...] = ()
    budget: BudgetFacts = field(default_factory=BudgetFacts)
    hypothesis: Hypothesis | None = None  # once it is accepted

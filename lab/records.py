"""The records of the lab, as frozen data. Standard library only: this file is copied into the sandbox.

In order: `Brief -> Hypothesis -> Candidate -> GateResult -> Measurement -> Verdict -> Analysis`, held by `Experiment`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What is measured, in which unit, and which direction is better."""

    name: str  # e.g. "bits_per_byte"
    unit: str  # e.g. "bits/byte"
    higher_is_better: bool

    def gain(self, value: float, reference: float) -> float:
        """How much better `value` is than `reference`: positive is better, in the metric's unit."""
        return value - reference if self.higher_is_better else reference - value


BITS_PER_BYTE = Metric(name="bits_per_byte", unit="bits/byte", higher_is_better=False)
COMBINED_SCORE = Metric(name="combined_score", unit="score", higher_is_better=True)
SCREEN, DECIDE, HELD_OUT = "screen", "decide", "held_out"  # texts (or seeds) to select, to decide; sealed ones
LARGEST_VALUE = 1e100  # of a measurement: beyond it, it counts as no number


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """What the user wants and may spend."""

    task: str = "mixers"  # as after --task; a test holds it equal to lab/tasks/registry.py
    text: str = ""  # the research direction, Markdown
    preset: str = "quick"
    budget: int = 12  # experiments with role candidate
    seed: int = 0
    max_seconds: float | None = None  # wall clock
    max_tokens: int | None = None  # prompt and completion tokens of all models
    max_cost: float | None = None  # US dollars
    model: str = "designer"
    corpus: str | None = None  # path of the user's own text
    confirm: bool | None = None  # take standing claims up the ladder at the end; None: as the preset does


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """An effect against the base, said before the run with an 80 % interval. Positive is better."""

    author: str  # "Researcher", "Critic", "record"
    effect: float  # the middle, in the metric's unit
    low: float  # a tenth of outcomes are expected below
    high: float  # a tenth above
    steps: int = 0  # optimiser steps of the named rung; 0: the screen


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """What the Researcher believes and how it would show."""

    name: str  # short, in snake_case
    family: str  # e.g. "gated_delta"; "other" when none fits
    motivation: str
    change: str  # what differs from the parents, in one or two sentences
    predicted_effect: str
    probe: str  # the probe or metric that should move
    risk: str
    cites: tuple[str, ...] = ()  # keys of recollections that support it
    plan: str = ""  # machine-readable plan of the author (the designer's genome as JSON), or empty
    forecasts: tuple[Forecast, ...] = ()  # one an author, all made before the run
    refused: str = ""  # the Critic's reason, where a refused hypothesis is tried all the same to measure the Critic
    base: str = ""  # id of the experiment that it changes, or the name of a baseline; empty: the first parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Source text to the candidate contract."""

    source: str
    author: str  # who signs: "designer (search)", "openai:gpt-x", "baseline"
    family: str = "other"
    attempt: int = 1  # 1 for the first writing, +1 for each debugging


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """One gate: a number, its limit, and a sentence that the author can act on."""

    name: str
    passed: bool | None  # None: could not run
    value: float | None
    limit: float | None
    message: str
    traceback: str = ""  # of the candidate's own exception, trimmed


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A standard deviation that was measured beforehand."""

    sd: float  # in the metric's unit
    df: float  # how many degrees of freedom it is trusted for


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """What one metric's values scatter by between seeds."""

    run: Calibration  # one run around its arm's mean
    across: Calibration  # a difference by seed, arms of different families
    relatives: Calibration  # a difference by seed, arms of one family


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One number from one run."""

    metric: str  # name of a Metric, or of a probe's metric
    value: float  # in the metric's own unit
    rung: int  # 1 probes, 2 small language model, ...
    seed: int
    steps: int = 0  # optimiser steps behind the number; 0 where there are none
    total_steps: int = 0  # that the learning-rate schedule is laid out for; 0 where there is none
    width: int = 0  # of the network; 0 where there is none
    scale: str = ""  # `Scale.key`; empty where there is none
    device: str = "cpu"  # or "cuda" and the card's name: values on two devices do not compare
    text: str = SCREEN  # what it was scored on: SCREEN, DECIDE or HELD_OUT; values on different text do not compare
    learning_rate: float = 0.0
    fresh: bool = False  # a confirming seed, not the one that selected
    self_reported: bool = False  # the candidate could have touched the number
    custom_backward: str = ""  # why the candidate's backward is not autograd's, in its words: gradients went unchecked
    diverged: bool = False
    calibrated: bool = False  # taken where the noise was measured beforehand
    noise: Noise | None = None  # as `move37 calibrate` measured it for this scale; None: the lab's own, if calibrated
    train_seconds: float = 0.0  # wall clock, measured outside the candidate's process
    cpu_seconds: float = 0.0
    eval_seconds: float = 0.0  # wall clock of the scoring job
    tokens_seen: int = 0  # training tokens (bytes) consumed
    tokens_per_second: float = 0.0  # of the training loop, without its start; wall clock of the trusted process
    flops_per_token: float = 0.0  # forward and backward, the candidate's part as its own process counted it; 0: unknown
    peak_flops: float = 0.0  # a second, of the device's products in their dtype, by its data sheet; 0: unknown
    peak_memory_bytes: int = 0

    @property
    def utilisation(self) -> float | None:
        """Model FLOPs a second over the device's peak (MFU); None where either is unknown."""
        known = self.peak_flops and self.flops_per_token
        return self.tokens_per_second * self.flops_per_token / self.peak_flops if known else None

    @property
    def is_number(self) -> bool:
        """Whether the value is a usable number: no NaN, no infinity, nothing whose square overflows."""
        return abs(self.value) <= LARGEST_VALUE

    @property
    def is_sound(self) -> bool:
        """A number, of a run that did not diverge."""
        return self.is_number and not self.diverged


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """The gain over one rival under equal conditions. Positive is better."""

    rival: str  # experiment id
    value: float  # mean gain, in the metric's unit
    standard_error: float | None  # of `value`; None where the noise is unknown and one seed cannot tell
    steps: int  # of both
    text: str  # that both were scored on: SCREEN, DECIDE or HELD_OUT
    seeds: int  # that it rests on: of the arm with fewer

    def interval(self, deviations: float = 1.96) -> tuple[float, float] | None:
        """`value` with so many standard errors on both sides; None where the noise is unknown."""
        if self.standard_error is None:
            return None
        half = deviations * self.standard_error
        return self.value - half, self.value + half


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """One experiment against what it changes, against its family's best baseline, and against the best baseline."""

    parent: Effect | None = None
    family: Effect | None = None
    best: Effect | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A candidate against one rival on fresh seeds, and the question that this answers. Positive effect is better."""

    question: str  # one of lab/claims.py's QUESTIONS: "baseline", "family", "ablation", "longer", ...
    rival: str  # experiment id, or the name of a stored baseline
    name: str  # of the rival, for people
    effect: float  # mean gain, in the metric's unit
    low: float | None  # interval at `confidence`; None where nothing can be said
    high: float | None
    confidence: float
    seeds: int  # pairs
    steps: int = 0
    total_steps: int = 0
    width: int = 0
    scale: str = ""  # `Scale.key`
    text: str = DECIDE
    corpus: str = ""  # its digest; empty: the campaign's own
    self_reported: bool = False  # one of its numbers was within reach of the code that it judges
    custom_backward: str = ""  # what the candidate declares: its gradients were not checked
    note: str = ""  # why there is no interval, or what was left out
    undecided: str = ""  # DIVERGED or NO_NUMBER (lab/comparisons.py), where one of its own runs ends the comparison
    rates: tuple[float, ...] = ()  # learning rates of candidate and rival, where the question chose them anew

    @property
    def holds(self) -> bool:
        """Whether the interval at its confidence lies above zero."""
        return self.low is not None and self.low > 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What is claimed of one candidate: it stands only if every comparison holds, and all questions were asked."""

    candidate: str  # experiment id
    part: str  # what is new in it, in words: what the ablation takes out
    comparisons: tuple[Comparison, ...]
    confirmation: int  # which one of the home this is; the confidence follows from it
    missing: Mapping[str, str] = field(default_factory=dict)  # question that could not be asked -> why
    core_seconds: float = 0.0  # CPU seconds that its own trainings took
    family: str = ""  # whose best it must beat, and why; empty in older claims

    @property
    def stands(self) -> bool:
        """Whether all of it was shown."""
        return bool(self.comparisons) and not self.missing and all(c.holds for c in self.comparisons)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What may be said about a candidate against its rivals. Positive effect is better."""

    baseline: str  # experiment id of the rival that it beats least clearly
    effect: float  # mean gain over that rival, in the metric's unit
    low: float | None  # interval at the confidence that `confirmation` demands; None with one seed
    high: float | None
    tried: int  # candidates that the home had begun by then
    text: str  # one sentence
    confirmation: int = 0  # which confirmation of the home this was; 0: screened only, or older than the rule
    comparisons: tuple[Comparison, ...] = ()  # one a rival
    self_reported: bool = False  # one of its numbers was within reach of the code that it judges


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What the Analyst makes of it; goes into memory."""

    expected: str
    seen: str
    why: str
    next: str
    lesson: str = ""  # one sentence for the ledger
    symptoms: tuple[str, ...] = ()  # what one would observe when this applies
    author: str = ""
    next_operators: tuple[str, ...] | None = None  # of the grammar, that `next` says to try; None: it is words alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Principle:
    """What the laboratory holds to be so, with the experiments that say so and those that do not."""

    id: str  # stable over revisions
    text: str  # one sentence
    supports: tuple[str, ...] = ()  # ids of experiments
    contradicts: tuple[str, ...] = ()
    author: str = ""  # who keeps it: "record" (a rule) or a model's signature
    strength: float = 0.0  # larger stands first; for the rule: |mean| / standard error
    struck: str = ""  # why it no longer stands; empty while it does


class Role(StrEnum):
    """Baselines are candidates of the lab's own, written to the same contract."""

    BASELINE = "baseline"
    CANDIDATE = "candidate"


class ExperimentStatus(StrEnum):
    """Moves to the right only; never back to running, but where a limit ended what another session may go on with."""

    RUNNING = "running"
    FAILED = "failed"  # a gate, the model's replies, a divergence or the training ended it
    REJECTED = "rejected"  # the Critic, the Researcher or the user ended it before it was measured
    MEASURED = "measured"
    PROMOTED = "promoted"  # went up at least one rung
    CONFIRMED = "confirmed"  # fresh seeds and held-out text


class Stage(StrEnum):
    """The durable steps of one experiment, in order. A stage is keyed by (stage, rung, seed)."""

    HYPOTHESIS = "hypothesis"
    CANDIDATE = "candidate"
    GATES = "gates"
    ANALYSIS = "analysis"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRecord:
    """One finished stage; `payload` is what it gave back, as JSON."""

    stage: str  # a Stage, or a name that says more: "lm@100" of a training, "verdict:lm@100"
    rung: int
    seed: int
    finished_at: str  # ISO 8601, UTC
    payload: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """The record that holds one of each. Later fields are empty until their stage has finished."""

    id: str
    campaign: int
    number: int  # order in the campaign; baselines and candidates count apart
    role: Role
    status: ExperimentStatus
    parents: tuple[str, ...] = ()
    name: str = ""
    family: str = ""
    rung: int = 0  # highest rung with a measurement
    hypothesis: Hypothesis | None = None
    candidate: Candidate | None = None
    gates: tuple[GateResult, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    verdict: Verdict | None = None
    effects: Effects | None = None  # as of the verdict
    claim: Claim | None = None  # what `move37 confirm` found
    analysis: Analysis | None = None
    stages: tuple[StageRecord, ...] = ()
    reason: str = ""  # why it failed or was rejected, one sentence
    created_at: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)  # versions, device, sandbox, image digest
